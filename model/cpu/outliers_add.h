// add_outliers over what a file that includes this defines: the name PG_ADD_OUTLIERS, column(c, w, o, place), which writes the weights of
// octet o's rows for one feature to c[8], and add_column(y, c, x), y[8] += x * c[8].

void PG_ADD_OUTLIERS(float *y, size_t ldy, const pg_matrix *w, size_t lo, size_t hi, const pg_outlier *outliers, size_t stride,
                     size_t tokens, float *room) {
  pg_columns columns;
  for (; lo < hi; lo += PG_COLUMN_OCTETS, y += PG_COLUMN_OCTETS * PG_OCTET) {
    const size_t n = hi - lo < PG_COLUMN_OCTETS ? hi - lo : PG_COLUMN_OCTETS;
    pg_no_columns(&columns, room);
    for (size_t t = 0; t < tokens; t++) {
      for (const pg_outlier *x = outliers + t * stride; x->x != 0; x++) {
        int known;
        float *c = pg_column_for(&columns, x->feature, &known);
        if (!known) {
          const pg_place p = pg_place_of(w, x->feature);
          for (size_t i = 0; i < n; i++) column(c + PG_OCTET * i, w, lo + i, &p);
        }
        for (size_t i = 0; i < PG_OCTET * n; i += PG_OCTET) add_column(y + t * ldy + i, c + i, x->x);
      }
    }
  }
}
