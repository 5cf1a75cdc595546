package model

import (
	"fmt"

	"peregrine/model/quant"
)

// builder turns a source's tensors into Params, checking every shape against the configuration. It remembers the first
// problem: an architecture lists what it wants in a column and asks once.
type builder struct {
	src    source
	config Config
	used   map[string]bool // modules that were asked for
	err    error
}

// part is one stored matrix of a Linear.
type part struct {
	module string
	out    int
	rows   func() []int32 // see quant.Matrix.Rows; nil: as stored. Called once the stored shape is known to be right
	bias   bool           // the configuration says that there is one; one that it does not mention is read all the same
}

func (b *builder) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

// matrix returns a module's weight, which must be [out, in], and its bias.
func (b *builder) matrix(module string, out, in int) (*quant.Matrix, []float32) {
	b.used[module] = true
	if b.err != nil {
		return nil, nil
	}
	m, bias, err := b.src.matrix(module)
	if err != nil {
		b.fail(err)
		return nil, nil
	}
	if m.Out != out || m.In != in {
		b.fail(fmt.Errorf("model: %s: tensor %q has shape [%d, %d]; the configuration wants [%d, %d] (do the two belong together?)",
			b.src.where(m.Name), m.Name, m.Out, m.In, out, in))
		return nil, nil
	}
	if bias != nil && len(bias) != out {
		b.fail(fmt.Errorf("model: %s: tensor %q has %d values; want %d", b.src.where(m.Name), module+".bias", len(bias), out))
		return nil, nil
	}
	return m, bias
}

// linear puts one or more stored matrices behind one another.
func (b *builder) linear(in int, parts ...part) Linear {
	var l Linear
	at, total := 0, 0
	for _, p := range parts {
		total += p.out
	}
	for _, p := range parts {
		var rows []int32
		m, bias := b.matrix(p.module, p.out, in)
		if name := p.module + ".bias"; p.bias && !b.src.has(name) {
			b.fail(missing(b.src, name))
		}
		if b.err != nil {
			return Linear{}
		}
		if p.rows != nil {
			rows = p.rows()
		}
		if rows != nil {
			m = m.Reorder(rows)
		}
		l.W = append(l.W, m)
		if bias != nil {
			if l.Bias == nil {
				l.Bias = make([]float32, total)
			}
			for n := range p.out {
				from := n
				if rows != nil {
					from = int(rows[n])
				}
				l.Bias[at+n] = bias[from]
			}
		}
		at += p.out
	}
	return l
}

// norm returns a normalisation's weights, widened.
func (b *builder) norm(module string) Norm {
	b.used[module] = true
	n := Norm{Weight: b.vector(module + ".weight")}
	if b.config.Norm == LayerNorm {
		n.Bias = b.vector(module + ".bias")
	}
	return n
}

func (b *builder) vector(name string) []float32 {
	if b.err != nil {
		return nil
	}
	v, err := vector(b.src, name)
	if err != nil {
		b.fail(err)
		return nil
	}
	if len(v) != b.config.Hidden {
		b.fail(fmt.Errorf("model: %s: tensor %q has %d values; the configuration wants %d (do the two belong together?)",
			b.src.where(name), name, len(v), b.config.Hidden))
	}
	return v
}

// vocabulary fills embedding and head. Without a head of its own the model uses the embedding, unless its configuration says
// that the two differ; a stored head is used as it is, even where it is a copy.
func (b *builder) vocabulary(p *Params, embed, head string) {
	c := &p.Config
	if b.err == nil && b.src.has(embed+".weight") {
		if m, _, err := b.src.matrix(embed); err == nil && m.In == c.Hidden && m.Out != c.Vocab {
			b.fail(fmt.Errorf("model: %s: tensor %q has %d rows, but the vocabulary has %d tokens; configuration and weights do not belong together",
				b.src.where(m.Name), m.Name, m.Out, c.Vocab))
		}
	}
	p.Embed, _ = b.matrix(embed, c.Vocab, c.Hidden)
	b.used[head] = true
	if !b.src.has(head+".weight") && !b.src.has(head+".qweight") {
		if !c.Tied {
			b.fail(missing(b.src, head+".weight"))
		}
		c.Tied, p.Head = true, p.Embed
		return
	}
	c.Tied = false
	var bias []float32
	p.Head, bias = b.matrix(head, c.Vocab, c.Hidden)
	if bias != nil {
		b.fail(fmt.Errorf("model: %s: tensor %q: a head with a bias is not supported", b.src.where(head+".bias"), head+".bias"))
	}
}

// build runs an architecture's list of tensors and reports the first problem, else the names of tensors it did not want.
func build(src source, plan blueprint) (*Params, []string, error) {
	if err := plan.config.Validate(); err != nil {
		return nil, nil, fmt.Errorf("model: %s: configuration: %w", plan.file, err)
	}
	b := &builder{src: src, config: plan.config, used: map[string]bool{}}
	p := &Params{Config: plan.config}
	plan.fill(b, p)
	if b.err != nil {
		return nil, nil, b.err
	}
	if err := p.Validate(); err != nil {
		return nil, nil, fmt.Errorf("model: %s: %w", src.where(""), err)
	}
	return p, unused(src, b.used), nil
}
