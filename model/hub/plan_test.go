package hub

import (
	"slices"
	"strings"
	"testing"
)

func TestChooseTakesWhatIsNeeded(t *testing.T) {
	cases := map[string]struct {
		files, include, want []string
		err                  string
	}{
		"sharded": {
			files: []string{"config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json", "tokenizer.model", "consolidated.safetensors", "consolidated.safetensors.index.json", "x.py", "pytorch_model.bin.index.json", "vision/model.safetensors"},
			want:  []string{"config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"},
		},
		"one file beside a copy": {
			files: []string{"model.safetensors", "model.fp16.safetensors", "adapter_model.safetensors", "chat_template.jinja", "additional_chat_templates/tool_use.jinja", "onnx/config.json"},
			want:  []string{"model.safetensors", "chat_template.jinja", "additional_chat_templates/tool_use.jinja", "onnx/config.json"},
		},
		"GPTQ": {
			files: []string{"gptq_model-4bit--1g.safetensors", "quantize_config.json", "config.json", "handler.py", "pytorch_model.bin"},
			want:  []string{"gptq_model-4bit--1g.safetensors", "quantize_config.json", "config.json"},
		},
		"one GGUF":           {files: []string{"config.json", "x.Q4_0.gguf", "README.md"}, want: []string{"x.Q4_0.gguf"}},
		"several GGUF":       {files: []string{"x.Q4_0.gguf", "x.Q8_0.gguf"}, err: "holds 2 GGUF files (x.Q4_0.gguf, x.Q8_0.gguf); name one, as in o/n/x.Q4_0.gguf"},
		"a pattern":          {files: []string{"x.Q4_0.gguf", "x.Q8_0.gguf", "config.json"}, include: []string{"*q8_0*"}, want: []string{"x.Q8_0.gguf"}},
		"a folder's pattern": {files: []string{"a/x.gguf", "b/x.gguf"}, include: []string{"b/*"}, want: []string{"b/x.gguf"}},
		"a pattern for one of the safetensors": {
			files: []string{"a.safetensors", "b.safetensors", "config.json"}, include: []string{"b.safetensors"}, want: []string{"b.safetensors", "config.json"},
		},
		"a pattern for code":    {files: []string{"x.gguf", "m.py", "m.bin"}, include: []string{"m.*"}, err: "never pickles or code"},
		"a pattern for nothing": {files: []string{"x.gguf"}, include: []string{"y*"}, err: "no file fits y*"},
		"a bad pattern":         {files: []string{"x.gguf"}, include: []string{"[x"}, err: "syntax error in pattern"},
		"nothing":               {files: []string{"README.md"}, err: "no safetensors and no GGUF file"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var files []remoteFile
			for _, f := range c.files {
				files = append(files, remoteFile{Path: f})
			}
			chosen, err := choose(files, Name{Repo: "o/n"}, c.include)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("got %v, want %q", err, c.err)
				}
				return
			}
			var got []string
			for _, f := range chosen {
				got = append(got, f.Path)
			}
			slices.Sort(got)
			slices.Sort(c.want)
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("got %q, %v; want %q", got, err, c.want)
			}
		})
	}
}

func TestParseName(t *testing.T) {
	for text, want := range map[string]Name{
		"tiiuae/falcon-7b":          {Repo: "tiiuae/falcon-7b"},
		"gpt2":                      {Repo: "gpt2"},
		"o/n@refs/pr/1":             {Repo: "o/n", Revision: "refs/pr/1"},
		"o/n/sub/x.Q4_K_M.gguf@v.1": {Repo: "o/n", File: "sub/x.Q4_K_M.gguf", Revision: "v.1"},
	} {
		got, err := ParseName(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("%s: got %+v (%s), %v", text, got, got, err)
		}
	}
	for _, text := range []string{
		"", "/n", "o/", "../n", "o/..", "o/n@", "o/n@../../x", "o/n@/x", "o/n/../x", "o/n//x", "-o/n", "o/n.", "o/n.git", "o--p/n", "o/n\x00",
		"o/n@a\\b", "o/n@a b\x1b", "a b/c", "o/" + strings.Repeat("n", 96),
	} {
		if got, err := ParseName(text); err == nil {
			t.Errorf("%q: got %+v, want an error", text, got)
		}
	}
}

// FuzzParseName holds that no name leads out of the cache.
func FuzzParseName(f *testing.F) {
	f.Add("o/n/../x@..")
	f.Add("a--b/c")
	f.Fuzz(func(t *testing.T, text string) {
		n, err := ParseName(text)
		if err != nil {
			return
		}
		r := Cache{Dir: "/cache"}.repo(n)
		if !strings.HasPrefix(r.dir, "/cache/models--") || !strings.HasPrefix(r.file(commitA, "x"+n.File), r.dir+"/snapshots/"+commitA+"/") {
			t.Errorf("%q leads to %s", text, r.file(commitA, n.File))
		}
		if again, err := ParseName(n.String()); err != nil || again != n {
			t.Errorf("%q: %+v becomes %+v, %v", text, n, again, err)
		}
	})
}

func FuzzJournal(f *testing.F) {
	f.Add([]byte("0 5\n5 9\n2 3\n7 8"), int64(10))
	f.Add([]byte("5 3\n-1 2\n0 99\n"), int64(10))
	f.Fuzz(func(t *testing.T, raw []byte, size int64) {
		size &= 1<<20 - 1
		j := journal{have: spansOf(raw, size)}
		covered := j.bytes(size)
		at := int64(0)
		for _, s := range append(j.missing(size, 7), span{size, size}) {
			if s.from < at || s.to > size || s.to-s.from > 7 || s.from > s.to {
				t.Fatalf("%v behind %d of %d", s, at, size)
			}
			covered += s.to - s.from
			at = s.to
		}
		if covered != size {
			t.Errorf("%d of %d bytes are there or missing", covered, size)
		}
	})
}
