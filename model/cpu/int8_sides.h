// side says what a group carries besides its codes, where that is common enough for a loop of its own. The first three have
// f16 scales and one block a group, a loop less: that alone is a third of the time.
enum side {
  SIDE_MIN,   // Q4_1, Q5_1: a minimum
  SIDE_ZERO,  // Q4_0, Q5_0: the same zero point everywhere
  SIDE_PLAIN, // Q8_0: that zero point is 0
  SIDE_ANY,   // GPTQ: as the matrix says
};
