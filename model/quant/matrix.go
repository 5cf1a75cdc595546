// Package quant holds one Matrix for every weight format: dense floats, GPTQ at 2, 3, 4 or 8 bits, and GGUF's blocks.
//
// A Matrix keeps the source's exact bits, usually as views of mapped memory, and has one definition of what they mean:
// Dequantize. Backends repack a Matrix into a layout of their own, from Row (dense and block formats) or from Codes, Grid and
// GPTQ.Order, and are tested against it. Which file says what is left to packages gptq, safetensors and gguf.
package quant

import "peregrine/model/tensor"

// Format says how Data holds the weights.
type Format uint8

// Weight formats. Dense and block formats store rows one after the other; GPTQ stores columns packed (see [GPTQ]). Byte j of
// the 16 bytes of nibbles holds weight j in its low half and weight j+16 in its high half, bit j of the fifth bits belongs to
// weight j. A K-quant's block has 256 weights in 8 or 16 parts, each with an integer scale s, some with an integer minimum m;
// where its bits are is said at dequantizeSuper.
const (
	InvalidFormat Format = iota
	F32                  // Data: [Out, In] float32
	F16                  // Data: [Out, In] IEEE half
	BF16                 // Data: [Out, In] bfloat16
	Q4_0                 // Data: [Out, In/32] blocks of 18 bytes: f16 d, 16 bytes of nibbles; w = d·(q−8)
	Q4_1                 // Data: [Out, In/32] blocks of 20 bytes: f16 d, f16 m, 16 bytes of nibbles; w = d·q + m
	Q5_0                 // Data: [Out, In/32] blocks of 22 bytes: f16 d, 4 bytes of fifth bits, 16 of nibbles; w = d·(q−16)
	Q5_1                 // Data: [Out, In/32] blocks of 24 bytes: f16 d, f16 m, then as Q5_0; w = d·q + m
	Q8_0                 // Data: [Out, In/32] blocks of 34 bytes: f16 d, 32 int8; w = d·q
	Q2_K                 // Data: [Out, In/256] blocks of 84 bytes, 16 parts; w = d·s·q − dmin·m
	Q3_K                 // Data: [Out, In/256] blocks of 110 bytes, 16 parts; w = d·s·(q−4), s from −32 to 31
	Q4_K                 // Data: [Out, In/256] blocks of 144 bytes, 8 parts; w = d·s·q − dmin·m
	Q5_K                 // Data: [Out, In/256] blocks of 176 bytes, 8 parts; w = d·s·q − dmin·m
	Q6_K                 // Data: [Out, In/256] blocks of 210 bytes, 16 parts; w = d·s·(q−32), s an int8
	GPTQFormat           // GPTQ holds the words
)

// Matrix is one weight matrix, y[Out] = x[In] · Wᵀ, in its source's exact bits.
type Matrix struct {
	Name    string // of the source tensor, for errors and listings
	Format  Format
	Out, In int
	Data    []byte // rows of the dense and block formats; nil for GPTQ
	GPTQ    *GPTQ  // only with GPTQFormat
	// Rows reorders and selects output rows: row n of this matrix is stored row Rows[n]. nil means all rows as stored.
	// Falcon's fused query_key_value becomes all-Q, all-K, all-V through it.
	Rows []int32
}

// ZeroRule says how a stored zero-point field becomes the zero point that is subtracted.
type ZeroRule uint8

// Zero-point rules (facts: checkpoint formats "gptq" and "gptq_v2", and GPTQModel's whole-word subtraction).
const (
	ZeroMinusOne   ZeroRule = iota // v1: field + 1, masked to Bits for 2, 4 and 8 bits and not masked for 3 bits
	ZeroAsStored                   // v2: the field itself
	ZeroWholeWords                 // v1 by GPTQModel: a constant was subtracted from the packed words; add it back, then unpack
)

// GPTQ holds the tensors of one GPTQ linear as they are stored. In is K, stored rows of columns are N.
type GPTQ struct {
	Bits      int         // 2, 3, 4 or 8
	GroupSize int         // input features per group; In when there is one group
	Groups    int         // rows of Scales and QZeros
	Stored    int         // N: output features as stored (Matrix.Out when Rows is nil)
	QWeight   []byte      // I32 [In/32·Bits, N], packed along In, lowest bits first
	QZeros    []byte      // I32 [Groups, N/32·Bits], packed along N
	Scales    tensor.View // F16, BF16 or F32 [Groups, N]
	GIdx      []int32     // [In] group of each input feature; nil when it is k / GroupSize
	Zeros     ZeroRule
}
