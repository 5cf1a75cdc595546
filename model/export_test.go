package model

import (
	"encoding/json"
	"reflect"
	"testing"
)

// fixture opens a fixture; package backendtest imports this one.
func fixture(t *testing.T, name string) *Checkpoint {
	t.Helper()
	c, err := Open("backendtest/testdata/fixtures/" + name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// TestMadeConfigSaysTheSame: a configuration that is made of a model's own numbers is read as those.
func TestMadeConfigSaysTheSame(t *testing.T) {
	for _, name := range []string{"falcon-7b", "falcon-11b", "falcon-40b", "falcon-40b-legacy", "falcon-rw-8h", "falcon-rw-16h", "llama-falcon3", "llama-smollm2"} {
		t.Run(name, func(t *testing.T) {
			c := fixture(t, name)
			values, err := c.madeConfig()
			if err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(values)
			if err != nil {
				t.Fatal(err)
			}
			f, err := parseFields("made", text)
			if err != nil {
				t.Fatal(err)
			}
			arch, modelType, err := architectureOf(f)
			if err != nil {
				t.Fatal(err)
			}
			got, err := arch.fromJSON(f, modelType)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got.config, c.Config) {
				t.Errorf("got %+v, want %+v", got.config, c.Config)
			}
		})
	}
}

// TestConfigJSONNeedsNoPythonFiles: they are not copied, so that neither their names nor the model types that they alone
// explain may stay.
func TestConfigJSONNeedsNoPythonFiles(t *testing.T) {
	made, err := fixture(t, "falcon-40b-legacy").ConfigJSON()
	if err != nil || string(made["model_type"]) != `"falcon"` || string(made["architectures"]) != `["FalconForCausalLM"]` || made["n_layer"] != nil {
		t.Errorf("a legacy configuration became %s (%v)", made, err)
	}
	c := &Checkpoint{src: memory{Memory{Config: []byte(`{"model_type":"falcon","auto_map":{"AutoConfig":"configuration_falcon.FalconConfig"},"bias":false}`)}, nil}}
	if made, err = c.ConfigJSON(); err != nil || made["auto_map"] != nil || string(made["bias"]) != "false" {
		t.Errorf("got %s (%v), want no auto_map and the rest", made, err)
	}
}
