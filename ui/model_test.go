package ui

import (
	"reflect"
	"testing"
)

// TestTheModelStaysSmall holds Model to the parts that it consists of: what belongs to one of them is a field of it. A part that is
// embedded counts with each of its fields, for all of them are Model's to whoever reads it.
func TestTheModelStaysSmall(t *testing.T) {
	const most = 15
	var fields []string
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Model]()) {
		if !f.Anonymous {
			fields = append(fields, f.Name)
		}
	}
	if n := len(fields); n > most {
		t.Errorf("Model has %d fields, want at most %d; give some of them to a part that they belong to: %v", n, most, fields)
	}
}
