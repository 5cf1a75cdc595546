package cuda

import (
	"slices"

	"peregrine/cuda/driver"
)

// modules lists the kernel modules that the model needs, in the order in which they are needed: to load it, for a token, for a
// prompt, for a few tokens with the logits of all; for few tokens before a prompt where short prompts are in passes of few.
func (e *executor) modules() []string {
	c := &collector{Device: e.d}
	for _, m := range e.matrices {
		for _, k := range m.repacking() {
			c.add(k.module)
		}
	}
	p := plan{e.resident, c}
	passes := []pass{{1, 1}, {chunkTokens, 1}, {decodeTokens, decodeTokens}}
	if e.shortPrompt > decodeTokens {
		passes[1], passes[2] = passes[2], passes[1]
	}
	for _, s := range passes {
		if _, err := p.launches(s); err != nil {
			return nil // Forward will say it
		}
	}
	return c.modules
}

// collector is a device that notes which modules a plan asks for. It runs nothing.
type collector struct {
	driver.Device
	modules []string
}

func (c *collector) Function(module, _ string) (driver.Function, error) {
	c.add(module)
	return noFunction{}, nil
}

func (c *collector) add(module string) {
	if !slices.Contains(c.modules, module) {
		c.modules = append(c.modules, module)
	}
}

type noFunction struct{}

func (noFunction) SetShared(int) error { return nil }
func (noFunction) PreferShared() error { return nil }
