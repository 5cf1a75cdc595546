// Decoding of a run of weights for mul_float, over what a file that includes this defines: decode_blocks and decode_dense, whose widths
// and types are constants there.

// Octet o's features from..from+n as float32: dst[n][8].
static void decode(float *dst, const pg_matrix *w, size_t o, size_t from, size_t n) {
  const uint8_t *dense = w->codes + o * pg_octet_bytes(w) + from * PG_OCTET * pg_type_size(w->type);
  switch (w->bits) {
  case 2:
    decode_blocks(dst, w, o, from, n, 2);
    break;
  case 3:
    decode_blocks(dst, w, o, from, n, 3);
    break;
  case 4:
    decode_blocks(dst, w, o, from, n, 4);
    break;
  case 5:
    decode_blocks(dst, w, o, from, n, 5);
    break;
  case 6:
    decode_blocks(dst, w, o, from, n, 6);
    break;
  case 8:
    decode_blocks(dst, w, o, from, n, 8);
    break;
  default:
    if (w->type == PG_F16) {
      decode_dense(dst, dense, PG_F16, n);
    } else if (w->type == PG_BF16) {
      decode_dense(dst, dense, PG_BF16, n);
    } else {
      decode_dense(dst, dense, PG_F32, n);
    }
  }
}
