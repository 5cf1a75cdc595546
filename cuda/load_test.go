package cuda

import (
	"context"
	"runtime"
	"testing"
	"weak"

	"peregrine/cuda/emulator"
	"peregrine/model"
	"peregrine/model/quant"
)

// What a model was loaded from can be let go: nothing of the executor's refers to it.
func TestALoadedModelKeepsNothingOfItsSource(t *testing.T) {
	b := New(emulator.Open(emulator.Options{}))
	defer b.Close()
	p := small()
	source := map[string]weak.Pointer[quant.Matrix]{
		"head": weak.Make(p.Head), "down projection": weak.Make(p.Layers[1].Down.W[0]),
	}
	norm := weak.Make(&p.FinalNorm.Weight[0])
	e, err := b.Load(context.Background(), p, model.LoadOptions{Context: 32})
	must(t, err)
	p = nil
	runtime.GC()
	for name, w := range source {
		if w.Value() != nil {
			t.Errorf("the %s is still referred to", name)
		}
	}
	if norm.Value() != nil {
		t.Error("the final norm is still referred to")
	}
	must(t, one(e, 0))
	must(t, e.Close())
}
