// mul_int by what a matrix has, over what a file that includes this defines: octets(…, bits, tokens, side), and the names PG_MUL_INT
// and PG_MUL_PARTS.

#define CASE(bits, tokens, side) \
  case (bits)*8 + (tokens): \
    octets(y, ldy, w, lo, hi, x, bits, tokens, side); \
    return
#define CASES(bits, side) \
  CASE(bits, 1, side); \
  CASE(bits, 2, side); \
  CASE(bits, 3, side); \
  CASE(bits, 4, side)

void PG_MUL_INT(float *y, size_t ldy, const pg_matrix *w, size_t lo, size_t hi, const pg_tile *x) {
  if (w->parts) {
    PG_MUL_PARTS(y, ldy, w, lo, hi, x);
    return;
  }
  const int key = w->bits * 8 + (int)x->tokens;
  if (w->type == PG_F16 && w->single) {
    if (w->offset == PG_OFFSET_MIN) {
      switch (key) { CASES(4, SIDE_MIN); CASES(5, SIDE_MIN); }
    } else if (w->offset == PG_OFFSET_ZERO) {
      switch (key) { CASES(4, SIDE_ZERO); CASES(5, SIDE_ZERO); }
      if (w->zero == 0) {
        switch (key) { CASES(8, SIDE_PLAIN); }
      }
    }
  }
  switch (key) {
    CASES(2, SIDE_ANY);
    CASES(3, SIDE_ANY);
    CASES(4, SIDE_ANY);
    CASES(8, SIDE_ANY);
  }
}
