package synthetic

import (
	"fmt"
	"math"
	"runtime/debug"
	"testing"

	"peregrine/model"
	"peregrine/model/quant"
)

// small pools, whose content nobody times.
var small = sizes{weights: 2 << 20, vocabulary: 4 << 20}

func open(t *testing.T, name string, o Options) *model.Checkpoint {
	t.Helper()
	return openPools(t, name, o, small)
}

func openPools(t *testing.T, name string, o Options, pools sizes) *model.Checkpoint {
	t.Helper()
	s, err := Find(name)
	if err != nil {
		t.Fatal(err)
	}
	c, err := openSized(s, o, pools)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// parameters counts the weights of a model, a tied head once.
func parameters(p *model.Params) int {
	n := p.Embed.Out * p.Embed.In
	if !p.Config.Tied {
		n += p.Head.Out * p.Head.In
	}
	vectors := [][]float32{p.FinalNorm.Weight, p.FinalNorm.Bias}
	for _, l := range p.Layers {
		for _, x := range []model.Linear{l.QKV, l.AttnOut, l.Up, l.Down} {
			n += x.Out() * x.In()
			vectors = append(vectors, x.Bias)
		}
		vectors = append(vectors, l.AttnNorm.Weight, l.AttnNorm.Bias, l.MLPNorm.Weight, l.MLPNorm.Bias)
	}
	for _, v := range vectors {
		n += len(v)
	}
	return n
}

// Parameters and bytes by the published shapes. RW-1B's count is published (keras-hub); the others follow from the shapes by
// hand: vocabulary, layers times their matrices, norms. KV bytes of a token are the table's, float16.
func TestShapesHaveTheirParameters(t *testing.T) {
	for _, c := range []struct {
		name       string
		parameters int
		kv         int64
	}{
		{"falcon-rw-1b", 1_311_625_216, 196_608},
		{"falcon-7b", 65024*4544 + 32*(4544*4672+4544*4544+2*4544*18176+2*4544) + 2*4544, 8_192},
		{"falcon-40b", 65024*8192 + 60*(8192*9216+8192*8192+2*8192*32768+4*8192) + 2*8192, 122_880},
		{"falcon-180b", 65024*14848 + 80*(14848*15872+14848*14848+2*14848*59392+4*14848) + 2*14848, 163_840},
		{"falcon-11b", 2*65024*4096 + 60*(4096*6144+4096*4096+2*4096*16384+2*4096) + 2*4096, 245_760},
		{"falcon3-1b", 2*131072*2048 + 18*(2048*(2048+2*1024)+2048*2048+3*2048*8192+2*2048) + 2048, 73_728},
		{"falcon3-3b", 2*131072*3072 + 22*(3072*(3072+2*1024)+3072*3072+3*3072*9216+2*3072) + 3072, 90_112},
		{"falcon3-7b", 2*131072*3072 + 28*(3072*(3072+2*1024)+3072*3072+3*3072*23040+2*3072) + 3072, 114_688},
		{"falcon3-10b", 2*131072*3072 + 40*(3072*(3072+2*1024)+3072*3072+3*3072*23040+2*3072) + 3072, 163_840},
		{"smollm2-135m", 49152*576 + 30*(576*(576+2*192)+576*576+3*576*1536+2*576) + 576, 23_040},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := open(t, c.name, Options{})
			if got := parameters(m.Params); got != c.parameters {
				t.Errorf("got %d parameters, want %d", got, c.parameters)
			}
			if err := m.Params.Validate(); err != nil {
				t.Error(err)
			}
			if got := m.KVBytes(1, model.Fast); got != c.kv {
				t.Errorf("got %d bytes of KV cache a token, want %d", got, c.kv)
			}
		})
	}
}

// Bytes that one token reads, against the table of the performance notes: GB with the digits given there, KV cache of 2048
// tokens where the table has it.
func TestBytesPerToken(t *testing.T) {
	for _, c := range []struct {
		name string
		o    Options
		kv   int
		want float64
	}{
		{"falcon-40b", Options{ActOrder: true}, 0, 21.46},
		{"falcon-40b", Options{ActOrder: true}, 2048, 21.71},
		{"falcon-40b", Options{GroupSize: 128, ActOrder: true}, 2048, 22.50},
		{"falcon-7b", Options{GroupSize: 64}, 2048, 4.18},
		{"smollm2-135m", Options{GroupSize: 64}, 2048, 0.161},
		{"smollm2-135m", Options{GroupSize: 64}, 0, 0.114},
	} {
		t.Run(fmt.Sprint(c.name, c.o.GroupSize, c.kv), func(t *testing.T) {
			m := open(t, c.name, c.o)
			got := float64(m.WeightBytes())
			if c.kv > 0 {
				got += float64(m.KVBytes(c.kv, model.Fast))
			}
			// The table sums rounded terms.
			if got /= 1e9; math.Abs(got-c.want) > 0.01*math.Min(1, c.want) {
				t.Errorf("got %.4f GB, want %v", got, c.want)
			}
		})
	}
}

func TestEveryFormatOfEveryKindIsValid(t *testing.T) {
	for _, name := range []string{"tiny-falcon", "tiny-llama", "falcon-rw-1b", "falcon-7b"} {
		for format, f := range formats {
			t.Run(name+"/"+format, func(t *testing.T) {
				s, err := Find(name)
				if err != nil {
					t.Fatal(err)
				}
				o := Options{Format: f, Layers: 1}
				if err := o.Validate(s); err != nil {
					if block, _ := f.Block(); block > s.Hidden || s.Hidden%block != 0 {
						return
					}
					t.Fatal(err)
				}
				m := open(t, name, o)
				if err := m.Params.Validate(); err != nil {
					t.Error(err)
				}
				if got := m.Params.Layers[0].Down.W[0].Format; got != f {
					t.Errorf("got %v, want %v", got, f)
				}
				if len(m.Tensors()) == 0 || m.FileBytes() < m.WeightBytes()/2 {
					t.Errorf("lists %d tensors of %d bytes", len(m.Tensors()), m.FileBytes())
				}
			})
		}
	}
}

// The weights of every format have mean 0 (but for Q8_0's half a code) and about the deviation 1/√in.
func TestWeightsAreOfTheRightSize(t *testing.T) {
	check := func(name string, m *quant.Matrix) {
		w := make([]float32, 64*m.In)
		m.Dequantize(w, 0, 64)
		sum, squares := 0.0, 0.0
		for _, x := range w {
			sum += float64(x)
			squares += float64(x) * float64(x)
		}
		n := float64(len(w))
		unit := 1 / math.Sqrt(float64(m.In))
		if deviation := math.Sqrt(squares/n) / unit; !(deviation > 0.65 && deviation < 1.5) {
			t.Errorf("%s: deviation %.3f/√in, want about 1", name, deviation)
		}
		if mean := sum / n / unit; !(math.Abs(mean) < 0.03) {
			t.Errorf("%s: mean %.3f/√in, want 0", name, mean)
		}
	}
	for format, f := range formats {
		for _, bits := range []int{2, 3, 4, 8} {
			if f != quant.GPTQFormat && bits != 4 {
				continue
			}
			m := open(t, "falcon-40b", Options{Format: f, Bits: bits, Layers: 1})
			check(fmt.Sprint(format, " ", bits, " bits"), m.Params.Layers[0].Up.W[0])
			check(format+" embedding", m.Params.Embed)
		}
	}
}

func TestSameSeedSameModel(t *testing.T) {
	row := func(o Options) []float32 {
		w := make([]float32, 8192)
		open(t, "falcon-40b", o).Params.Layers[1].QKV.W[0].Dequantize(w, 7, 8)
		return w
	}
	a, b, other := row(Options{Layers: 2}), row(Options{Layers: 2}), row(Options{Layers: 2, Seed: 1})
	if fmt.Sprint(a) != fmt.Sprint(b) {
		t.Error("the same seed gave other weights")
	}
	if fmt.Sprint(a) == fmt.Sprint(other) {
		t.Error("another seed gave the same weights")
	}
}

// Two equal rows of the head would give two tokens the same logit always.
func TestRowsOfTheVocabularyDiffer(t *testing.T) {
	m := openPools(t, "falcon-40b", Options{Layers: 1}, usual)
	seen := map[string]int{}
	for i := range m.Params.Head.Out {
		key := string(m.Params.Head.Row(i)[:64])
		if before, ok := seen[key]; ok {
			t.Fatalf("rows %d and %d are equal", before, i)
		}
		seen[key] = i
	}
}

func TestOptionsThatCannotBeAreRefused(t *testing.T) {
	s, err := Find("Falcon-7B")
	if err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]Options{
		"bits":      {Bits: 5},
		"group":     {GroupSize: -2},
		"layers":    {Layers: 33},
		"negative":  {Layers: -1},
		"embedding": {Embedding: quant.GPTQFormat},
		"rows":      {Format: quant.Q4_K},
	} {
		if c, err := Open(s, o); err == nil {
			_ = c.Close()
			t.Errorf("%s: %+v was taken", name, o)
		}
	}
	if _, err := Find("falcon-1t"); err == nil {
		t.Error("found a shape that does not exist")
	}
	if _, err := ParseFormat("q7_k"); err == nil {
		t.Error("found a format that does not exist")
	}
}

// A tensor reaches the end of its pool's address space, which must be mapped: a fault becomes a failure here.
func TestEveryByteIsMapped(t *testing.T) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	c := content{format: quant.GPTQFormat, bits: 4}
	const longest = 3<<20 + 4
	p, err := newPool(1<<20, longest, c, 1)
	if err != nil {
		t.Fatal(err)
	}
	b := p.region[p.period-4 : p.period-4+longest]
	for i := range b {
		if i >= p.period && b[i] != b[i-p.period] {
			t.Fatalf("byte %d differs from the one a period before", i)
		}
	}
	for range 2 {
		if err := p.close(); err != nil {
			t.Fatal(err)
		}
	}
}
