package history

import "testing"

func TestNameOrPath(t *testing.T) {
	for s, want := range map[string]bool{
		"": false, "my chat": false, "v1.2": false, "..x": false, "...": false, "~x": false, "a.json": false, ".jsonl.": false,
		"a/b": true, "/": true, "./a": true, "~/a": true, "~x/a": true, "a.jsonl": true, ".jsonl": true, "~": true, ".": true, "..": true,
	} {
		if got := IsPath(s); got != want {
			t.Errorf("%q is a path: %v, want %v", s, got, want)
		}
	}
}

func TestExpandHome(t *testing.T) {
	for _, c := range []struct{ path, home, want string }{
		{"~/a.jsonl", "/h", "/h/a.jsonl"},
		{"~", "/h", "/h"},
		{"~/", "/h", "/h"},
		{"~x/a", "/h", "~x/a"},
		{"a/~/b", "/h", "a/~/b"},
		{"/a", "/h", "/a"},
		{"", "/h", ""},
		{"~/a", "", "~/a"},
	} {
		if got := ExpandHome(c.path, c.home); got != c.want {
			t.Errorf("%q with home %q: got %q, want %q", c.path, c.home, got, c.want)
		}
	}
}
