package jinja

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// decode returns a JSON value as a template's value, with objects in their order.
func decode(t *testing.T, d *json.Decoder) Value {
	t.Helper()
	tok, err := d.Token()
	if err != nil {
		t.Fatal(err)
	}
	switch tok := tok.(type) {
	case json.Delim:
		if tok == '[' {
			l := &list{}
			for d.More() {
				l.items = append(l.items, decode(t, d))
			}
			_, err = d.Token()
			if err != nil {
				t.Fatal(err)
			}
			return l
		}
		o := newDict(0)
		for d.More() {
			k := decode(t, d).(Text)
			o.set(k, k.String, decode(t, d))
		}
		if _, err = d.Token(); err != nil {
			t.Fatal(err)
		}
		return o
	case string:
		return Plain(tok)
	case json.Number:
		if i, err := tok.Int64(); err == nil {
			return i
		}
		f, err := tok.Float64()
		if err != nil {
			t.Fatal(err)
		}
		return f
	default:
		return tok
	}
}

// TestSameAsJinja2 compares with what Jinja2 itself rendered (testdata/make.py), errors included where they are Jinja's own words.
func TestSameAsJinja2(t *testing.T) {
	raw, err := os.ReadFile("testdata/cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Vars  json.RawMessage
		Cases []struct {
			Template string
			Text     *string
			Error    string
		}
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(strings.NewReader(string(file.Vars)))
	d.UseNumber()
	root := decode(t, d).(*dict)
	vars := map[string]Value{}
	for i, k := range root.keys {
		vars[k.(Text).String] = root.vals[i]
	}
	for _, c := range file.Cases {
		t.Run(c.Template, func(t *testing.T) {
			tm, err := Parse(c.Template)
			var got Text
			if err == nil {
				got, err = tm.Render(vars, Options{})
			}
			switch {
			case c.Text == nil && err == nil:
				t.Errorf("got %q, want error %q", got.String, c.Error)
			case c.Text == nil:
				t.Logf("%v  <=>  %s", err, c.Error)
			case err != nil:
				t.Errorf("got error %v, want %q", err, *c.Text)
			case got.String != *c.Text:
				t.Errorf("\ngot  %q\nwant %q", got.String, *c.Text)
			}
		})
	}
}
