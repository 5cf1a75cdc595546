package model

import (
	"encoding/binary"
	"math"
	"testing"

	"peregrine/model/gguf"
)

// Every block format means what the gguf Python package says, bit for bit; quant/testdata/make.py wrote both.
func TestBlockFormatsAreThoseOfTheGGUFPackage(t *testing.T) {
	f, err := gguf.Open("quant/testdata/blocks.gguf")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, name := range []string{"Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"} {
		t.Run(name, func(t *testing.T) {
			blocks, _ := f.Tensor(name)
			want, ok := f.Tensor(name + ".f32")
			if !ok || blocks.Type.String() != name || want.Type != gguf.F32 {
				t.Fatalf("got types %v and %v", blocks.Type, want.Type)
			}
			m, err := FromGGUF(blocks)
			if err != nil {
				t.Fatal(err)
			}
			if err := m.Validate(); err != nil {
				t.Fatal(err)
			}
			if len(want.Data) != 4*m.Out*m.In || m.Format.String() != name {
				t.Fatalf("got format %v [%d, %d] for %d values", m.Format, m.Out, m.In, len(want.Data)/4)
			}
			got := make([]float32, m.Out*m.In)
			m.Dequantize(got, 0, m.Out)
			for i, w := range got {
				if bits := binary.LittleEndian.Uint32(want.Data[4*i:]); math.Float32bits(w) != bits {
					t.Fatalf("weight [%d, %d]: got %v, want %v", i/m.In, i%m.In, w, math.Float32frombits(bits))
				}
			}
		})
	}
}
