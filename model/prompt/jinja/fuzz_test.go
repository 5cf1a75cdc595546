package jinja

import (
	"encoding/json"
	"os"
	"testing"
	"time"
)

// FuzzTemplate renders any template: it must end with text or with an error, within the budget's time.
func FuzzTemplate(f *testing.F) {
	raw, err := os.ReadFile("testdata/cases.json")
	if err != nil {
		f.Fatal(err)
	}
	var file struct{ Cases []struct{ Template string } }
	if err := json.Unmarshal(raw, &file); err != nil {
		f.Fatal(err)
	}
	for _, c := range file.Cases {
		f.Add(c.Template, "Hi <b>")
	}
	for _, h := range hostile {
		if len(h.source) < 1000 {
			f.Add(h.source, "x")
		}
	}
	f.Fuzz(func(t *testing.T, source, content string) {
		start := time.Now()
		tm, err := Parse(source)
		if err != nil {
			return
		}
		vars := map[string]Value{
			"messages": List(Dict(Pair{"role", Plain("user")}, Pair{"content", User(content)})),
			"s":        User(content), "n": int64(7), "f": 2.5, "xs": List(int64(3), int64(1)), "d": Dict(Pair{"b", int64(1)}),
		}
		out, err := tm.Render(vars, Options{Steps: 100000})
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("took %v", took)
		}
		end := 0
		for _, s := range out.User {
			if err != nil || s.Start < end || s.End <= s.Start || s.End > len(out.String) {
				t.Fatalf("spans %v of %d bytes", out.User, len(out.String))
			}
			end = s.End
		}
	})
}
