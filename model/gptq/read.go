package gptq

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// maxConfig bounds a configuration file: real ones have a few hundred bytes, the longest lists of modules some kilobytes.
const maxConfig = 16 << 20

// ReadConfig returns what the checkpoint in dir says of its quantisation, nil if it says nothing: then the weights are dense,
// or Infer finds out. configJSON is the parsed config.json, which may be nil. The first of these that says something counts:
// quantization_config in config.json, quantize_config.json, quant_config.json. Every other method than GPTQ, and every variant
// of GPTQ that this program cannot compute, is refused by name.
func ReadConfig(dir string, configJSON map[string]json.RawMessage) (*Config, error) {
	if _, ok := configJSON["compression_config"]; ok {
		return nil, fmt.Errorf("gptq: config.json: %w", unsupported("quantisation", "compressed-tensors"))
	}
	if raw, ok := configJSON["quantization_config"]; ok {
		c, err := parseConfig(raw)
		if err != nil {
			return nil, fmt.Errorf("gptq: config.json: quantization_config: %w", err)
		}
		if c != nil {
			c.Source = "config.json"
			return c, nil
		}
	}
	for _, name := range []string{"quantize_config.json", "quant_config.json"} {
		raw, err := readSmall(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("gptq: %w", err)
		}
		c, err := parseConfig(raw)
		if err != nil {
			return nil, fmt.Errorf("gptq: %s: %w", filepath.Join(dir, name), err)
		}
		if c != nil {
			c.Source = name
			return c, nil
		}
	}
	return nil, nil //nolint:nilnil // documented: no configuration
}

func readSmall(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxConfig {
		return nil, fmt.Errorf("%s: is not a regular file of at most %d bytes", path, maxConfig)
	}
	return os.ReadFile(path)
}

// synonyms are other tools' words for a key. zero_point is the opposite of sym and read on its own.
var synonyms = map[string]string{
	"w_bit": "bits", "wbits": "bits", "q_group_size": "group_size", "groupsize": "group_size",
	"checkpoint_format": "format", "version": "format", "method": "quant_method",
}

// parseConfig reads the JSON object of a quantisation. It returns nil for null and for an empty object.
func parseConfig(raw []byte) (*Config, error) {
	m, err := members(raw)
	if err != nil || len(m) == 0 {
		return nil, err
	}
	if m, err = canonical(m); err != nil {
		return nil, err
	}
	if err := refuse(m); err != nil {
		return nil, err
	}
	c := &Config{Sym: true}
	var zeroPoint, isSym bool
	if err := errors.Join(
		integer(m, "bits", &c.Bits), integer(m, "group_size", &c.GroupSize), get(m, "format", &c.Format),
		get(m, "desc_act", &c.DescAct), get(m, "static_groups", &c.StaticGroups), get(m, "lm_head", &c.LMHead),
		get(m, "model_file_base_name", &c.ModelFileBaseName), get(m, "zero_point", &zeroPoint),
	); err != nil {
		return nil, oneLine(err)
	}
	if given(m, "zero_point") {
		c.Sym = !zeroPoint
	}
	if given(m, "sym") {
		if err := get(m, "sym", &isSym); err != nil {
			return nil, err
		}
		c.Sym = isSym
	}
	if given(m, "group_size") && c.GroupSize == 0 {
		return nil, errors.New("group_size is 0; need -1 for no groups, or a positive size")
	}
	if given(m, "meta") {
		if err := readMeta(c, m["meta"]); err != nil {
			return nil, fmt.Errorf("meta: %w", err)
		}
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	return c, nil
}

// readMeta takes what GPTQModel writes one level down.
func readMeta(c *Config, raw []byte) error {
	meta, err := members(raw)
	if err != nil {
		return err
	}
	if !c.StaticGroups {
		if err := get(meta, "static_groups", &c.StaticGroups); err != nil {
			return err
		}
	}
	var one string
	if get(meta, "quantizer", &one) == nil {
		if one != "" {
			c.Quantizer = []string{one}
		}
		return nil
	}
	return get(meta, "quantizer", &c.Quantizer)
}

// refuse names what this program cannot compute.
func refuse(m map[string]json.RawMessage) error {
	var method, pack string
	var marlin bool
	if err := errors.Join(get(m, "quant_method", &method), get(m, "is_marlin_format", &marlin), get(m, "pack_dtype", &pack)); err != nil {
		return oneLine(err)
	}
	if method == "" && (given(m, "load_in_4bit") || given(m, "load_in_8bit")) {
		return unsupported("quantisation", "bitsandbytes") // its older files do not name it
	}
	if method != "" && !strings.EqualFold(method, "gptq") {
		return unsupported("quant_method", method)
	}
	if marlin {
		return unsupported("format", "marlin")
	}
	if pack != "" && !strings.EqualFold(pack, "int32") {
		return unsupported("pack_dtype", pack)
	}
	if !given(m, "dynamic") {
		return nil
	}
	rules, err := members(m["dynamic"])
	if err != nil {
		return fmt.Errorf("dynamic: %w", err)
	}
	if len(rules) == 0 {
		return nil
	}
	names := make([]string, 0, len(rules))
	for name := range rules {
		names = append(names, name)
	}
	return unsupported("a quantisation that differs by layer (dynamic)", slices.Min(names))
}

// members returns the members of a JSON object, none for null. A repeated key is refused, since the tools that wrote and
// that read it may have meant different ones.
func members(raw []byte) (map[string]json.RawMessage, error) {
	if bytes.Equal(bytes.TrimSpace(raw), []byte("null")) {
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("is not a JSON object")
	}
	m := make(map[string]json.RawMessage)
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		key, _ := t.(string) // the decoder lets nothing else be a key
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, fmt.Errorf("%q: %w", key, err)
		}
		if _, ok := m[key]; ok {
			return nil, fmt.Errorf("%q appears twice", key)
		}
		m[key] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, fmt.Errorf("JSON object is not closed: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more follows the JSON object")
	}
	return m, nil
}

// canonical lowers the keys and replaces synonyms. Two words for the same key must agree.
func canonical(m map[string]json.RawMessage) (map[string]json.RawMessage, error) {
	out := make(map[string]json.RawMessage, len(m))
	from := make(map[string]string, len(m))
	for key, value := range m {
		name := strings.ToLower(key)
		if s, ok := synonyms[name]; ok && (name != "version" || bytes.HasPrefix(value, []byte(`"`))) {
			name = s
		}
		if string(value) == "null" {
			continue
		}
		if old, ok := out[name]; ok && !bytes.EqualFold(old, value) {
			names := []string{from[name], key}
			slices.Sort(names)
			return nil, fmt.Errorf("%q and %q disagree", names[0], names[1])
		}
		out[name], from[name] = value, key
	}
	return out, nil
}

func given(m map[string]json.RawMessage, key string) bool {
	_, ok := m[key]
	return ok
}

// get decodes a member into dst, which keeps its value when there is none.
func get[T any](m map[string]json.RawMessage, key string, dst *T) error {
	raw, ok := m[key]
	if !ok || string(raw) == "null" {
		return nil
	}
	var v T
	if err := json.Unmarshal(raw, &v); err != nil {
		return fmt.Errorf("%s is %s; need a %T", key, short(raw), v)
	}
	*dst = v
	return nil
}

// integer decodes a whole number, which some tools write as 4.0.
func integer(m map[string]json.RawMessage, key string, dst *int) error {
	var number json.Number
	if raw, ok := m[key]; !ok {
		return nil
	} else if bytes.HasPrefix(raw, []byte(`"`)) || get(m, key, &number) != nil {
		return fmt.Errorf("%s is %s; need an integer", key, short(raw))
	}
	x, err := strconv.ParseFloat(number.String(), 64)
	if err != nil || x != float64(int32(x)) {
		return fmt.Errorf("%s is %s; need an integer", key, short(m[key]))
	}
	*dst = int(x)
	return nil
}

// short quotes JSON for an error, cut, with nothing in it that a terminal would obey.
func short(raw []byte) string {
	if len(raw) > 40 {
		return strconv.Quote(string(raw[:40])) + "…"
	}
	return strconv.Quote(string(raw))
}

// oneLine keeps the first of joined errors: a message is one line.
func oneLine(err error) error {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		return joined.Unwrap()[0]
	}
	return err
}
