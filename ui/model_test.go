package ui

import (
	"reflect"
	"testing"
)

// TestTheModelStaysSmall holds Model to the parts that it consists of: what belongs to one of them is a field of it.
func TestTheModelStaysSmall(t *testing.T) {
	const most = 15
	if n := reflect.TypeFor[Model]().NumField(); n > most {
		t.Errorf("Model has %d fields, want at most %d", n, most)
	}
}
