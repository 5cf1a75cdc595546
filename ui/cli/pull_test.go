package cli

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"peregrine/cuda/driver"
	"peregrine/model/backendtest"
	"peregrine/model/hub"
	"peregrine/model/hub/hubtest"
	"peregrine/ui/library"
)

// hubWith serves a fixture model as o/n and lets the environment of the test say so.
func hubWith(t *testing.T, fixture string) *hubtest.Server {
	t.Helper()
	for _, name := range []string{
		"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HUB_OFFLINE",
		"TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_IMPLICIT_TOKEN", "HF_HUB_DOWNLOAD_TIMEOUT",
	} {
		t.Setenv(name, "")
	}
	home(t)
	files := map[string]string{"README.md": "about", "pytorch_model.bin": "a pickle"}
	dir := backendtest.Path(t, fixture)
	for _, name := range []string{
		"config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
	} {
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(raw)
	}
	s := hubtest.Serve(t, files)
	t.Setenv("HF_ENDPOINT", s.Hub.URL)
	return s
}

func TestAPulledModelIsUsedByItsName(t *testing.T) {
	hubWith(t, "llama-smollm2")
	path := strings.TrimSpace(succeed(t, "", "pull", "o/n"))
	if out := succeed(t, "", "inspect", "o/n"); !strings.Contains(out, "o/n") || !strings.Contains(out, path) {
		t.Errorf("inspect says %s", out)
	}
	if out := succeed(t, "", "n", "--backend", "cpu", "-p", "x", "--max-new-tokens", "2"); out == "" {
		t.Error("the model does not answer by its short name")
	}
	if out := succeed(t, "", "models", "list"); !strings.Contains(out, "o/n ") {
		t.Errorf("list says %s", out)
	}
	info := succeed(t, "", "models", "info", "o/n")
	for _, want := range []string{"commit", hubtest.Commit + "  main", "model.safetensors", "sha256 ", "git "} {
		if !strings.Contains(info, want) {
			t.Errorf("info lacks %q: %s", want, info)
		}
	}
	if strings.Contains(info, "pytorch") || strings.Contains(info, "README") {
		t.Errorf("more came than is needed: %s", info)
	}
	if out := succeed(t, "", "models", "verify"); !strings.Contains(out, "o/n: 6 files") || !strings.Contains(out, "all right") {
		t.Errorf("verify says %s", out)
	}
}

// gpu says whether this machine has one for "auto".
func gpu() bool {
	list, err := driver.List()
	return err == nil && slices.ContainsFunc(list, func(i driver.Info) bool { return i.Usable() == nil })
}

func TestALargePulledModelIsRepackedForTheCPU(t *testing.T) {
	least := keepFrom
	t.Cleanup(func() { keepFrom = least })
	for _, c := range []struct {
		name   string
		from   int64
		args   []string
		repack bool
	}{
		{"small", least, []string{"--backend", "cpu"}, false},
		{"off", 1000, []string{"--backend", "cpu", "--keep-repacked", "off"}, false},
		{"another backend", 1000, []string{"--backend", "oracle"}, false},
		{"large", 1000, []string{"--backend", "cpu"}, true},
		{"large, no flags", 1000, nil, !gpu()},
	} {
		t.Run(c.name, func(t *testing.T) {
			hubWith(t, "llama-smollm2")
			if err := repackedDir().Room(1 << 20); err != nil {
				t.Skip(err)
			}
			keepFrom = c.from
			code, out, errs := program(t, "", append([]string{"pull", "o/n"}, c.args...)...)
			if code != ExitOK {
				t.Fatalf("exit %d: %s", code, errs)
			}
			path := strings.TrimSpace(out)
			if c.repack {
				if code, again, errs := program(t, "", append([]string{"pull", "o/n"}, c.args...)...); code != ExitOK || again != out || errs != "" {
					t.Errorf("a second time: exit %d, %q, %q; want the path alone", code, again, errs)
				}
			}
			if said := strings.Contains(errs, "--keep-repacked off"); said != c.repack {
				t.Errorf("standard error: %s", errs)
			}
			if mapped := loadsMapped(t, path); mapped != c.repack {
				t.Errorf("the model that was pulled starts from repacked weights: %v, want %v", mapped, c.repack)
			}
		})
	}
}

func TestDamageIsFoundAndRepaired(t *testing.T) {
	hubWith(t, "llama-smollm2")
	path := strings.TrimSpace(succeed(t, "", "pull", "o/n"))
	weights, err := filepath.EvalSymlinks(filepath.Join(path, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(weights)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)-1] ^= 1
	if err := os.WriteFile(weights, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"models", "verify", "o/n"}, {"models", "verify", "--repair", "n"}} {
		code, out, errs := program(t, "", args...)
		if code != ExitError || !strings.Contains(out, "o/n: model.safetensors has the hash") || strings.Count(errs, "\n") != 1 {
			t.Errorf("%v: exit code %d, %s, %s", args, code, out, errs)
		}
	}
	succeed(t, "", "pull", "o/n")
	succeed(t, "", "models", "verify", "o/n")
	if out := succeed(t, "", "models", "rm", "o/n"); !strings.Contains(out, "removed o/n") {
		t.Errorf("rm says %s", out)
	}
	code, _, errs := program(t, "", "inspect", "o/n")
	if code != ExitError || !strings.Contains(errs, "`peregrine pull o/n` fetches it") {
		t.Errorf("exit code %d, %s", code, errs)
	}
}

func TestPullSaysWhatIsWrong(t *testing.T) {
	cases := map[string]struct {
		env  map[string]string
		args []string
		code int
		want string
	}{
		"no name":        {nil, []string{"pull", "a/b/../c"}, ExitUsage, "is not a path"},
		"no repository":  {nil, []string{"pull", "o/other"}, ExitError, "no such repository"},
		"no revision":    {nil, []string{"pull", "o/n@v9"}, ExitError, `no revision "v9"`},
		"offline":        {map[string]string{"HF_HUB_OFFLINE": "yes"}, []string{"pull", "o/n"}, ExitError, "HF_HUB_OFFLINE is set"},
		"endpoint":       {map[string]string{"HF_ENDPOINT": "hub"}, []string{"pull", "o/n"}, ExitError, "HF_ENDPOINT"},
		"timeout":        {map[string]string{"HF_HUB_DOWNLOAD_TIMEOUT": "soon"}, []string{"pull", "o/n"}, ExitError, "HF_HUB_DOWNLOAD_TIMEOUT"},
		"token":          {map[string]string{"HF_TOKEN": "hf_a\nb"}, []string{"pull", "o/n"}, ExitError, "HF_TOKEN holds characters"},
		"nothing to do":  {nil, []string{"models", "rm", "o/n"}, ExitError, "not in the cache"},
		"a code pattern": {nil, []string{"pull", "o/n", "--include", "*.bin"}, ExitError, "never pickles or code"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			hubWith(t, "llama-smollm2")
			for name, v := range c.env {
				t.Setenv(name, v)
			}
			code, out, errs := program(t, "", c.args...)
			if code != c.code || !strings.Contains(errs, c.want) || strings.Count(errs, "\n") != 1 || out != "" {
				t.Errorf("exit code %d, %q, %q; want %d and %q", code, out, errs, c.code, c.want)
			}
			if strings.Contains(errs, "hf_a") {
				t.Error("the token is in the message")
			}
		})
	}
}

func TestAPullThatIsInterruptedSaysHowToGoOn(t *testing.T) {
	s := hubWith(t, "llama-smollm2")
	ctx, cancel := context.WithCancel(t.Context())
	s.SetFault(func(_ http.ResponseWriter, r *http.Request, path string, _ int) bool {
		if path == "model.safetensors" {
			cancel()
			<-r.Context().Done()
		}
		return false
	})
	var out, errs bytes.Buffer
	code := run(ctx, []string{"pull", "o/n"}, streams{in: strings.NewReader(""), out: &out, err: &errs})
	if code != ExitInterrupted || !strings.Contains(errs.String(), "`peregrine pull o/n` goes on from here") || out.Len() > 0 {
		t.Errorf("exit code %d, %s", code, errs.String())
	}
}

func TestTokensComeFromWhereTheHubsToolsKeepThem(t *testing.T) {
	dir := home(t)
	file := filepath.Join(dir, "token")
	if err := os.WriteFile(file, []byte(" hf_file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	none := map[string]string{"HF_TOKEN": "", "HUGGING_FACE_HUB_TOKEN": "", "HF_TOKEN_PATH": "", "HF_HOME": filepath.Join(dir, "none"), "HF_HUB_DISABLE_IMPLICIT_TOKEN": ""}
	for _, c := range []struct {
		env           map[string]string
		token, source string
	}{
		{nil, "", ""},
		{map[string]string{"HF_TOKEN": "hf_a", "HUGGING_FACE_HUB_TOKEN": "hf_b"}, "hf_a", "HF_TOKEN"},
		{map[string]string{"HUGGING_FACE_HUB_TOKEN": "hf_b"}, "hf_b", "HUGGING_FACE_HUB_TOKEN"},
		{map[string]string{"HF_HOME": dir}, "hf_file", file},
		{map[string]string{"HF_TOKEN_PATH": "$HF_TEST_DIR/token", "HF_TEST_DIR": dir}, "hf_file", file},
		{map[string]string{"HF_TOKEN": "hf_a", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}, "", ""},
	} {
		env := maps.Clone(none)
		maps.Copy(env, c.env)
		for name, v := range env {
			t.Setenv(name, v)
		}
		token, source, err := hubToken()
		if err != nil || token != c.token || source != c.source {
			t.Errorf("%v: got %q from %q, %v", c.env, token, source, err)
		}
	}
}

func TestTheCacheLiesWhereTheHubsToolsHaveIt(t *testing.T) {
	dir := home(t)
	none := map[string]string{"HF_HUB_CACHE": "", "HUGGINGFACE_HUB_CACHE": "", "HF_HOME": "", "HOME": dir}
	for _, c := range []struct {
		env  map[string]string
		want string
	}{
		{nil, filepath.Join(dir, "XDG_CACHE_HOME", "huggingface", "hub")},
		{map[string]string{"XDG_CACHE_HOME": ""}, filepath.Join(dir, ".cache", "huggingface", "hub")},
		{map[string]string{"HF_HOME": "~/hf"}, filepath.Join(dir, "hf", "hub")},
		{map[string]string{"HUGGINGFACE_HUB_CACHE": "/old", "HF_HOME": "/hf"}, "/old"},
		{map[string]string{"HF_HUB_CACHE": "/new", "HUGGINGFACE_HUB_CACHE": "/old"}, "/new"},
	} {
		env := maps.Clone(none)
		maps.Copy(env, c.env)
		for name, v := range env {
			t.Setenv(name, v)
		}
		if got := place(); got.Shared != (hub.Cache{Dir: c.want}) {
			t.Errorf("%v: got %v, want %s", c.env, got.Shared, c.want)
		}
	}
}

func TestProgressForPeople(t *testing.T) {
	got := describeProgress(hub.Progress{Done: 9e9, Total: 20e9, Rate: 50e6, Left: 220e9})
	if want := " 45 %  9.00 GB of 20.00 GB  50.0 MB/s  3 min 40 s left"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTheChatPullsByName(t *testing.T) {
	s := hubWith(t, "llama-smollm2")
	var x session
	for name, want := range map[string]bool{
		"o/n": true, "o/n@v1": true, "o/n/file.gguf": true, "n": false, "": false, "./o/n": false, "/o/n": false, "~/n": false, "models/x.gguf": false, "o/n@": false,
	} {
		if got := x.Pullable(name); got != want {
			t.Errorf("Pullable(%q): got %v, want %v", name, got, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	s.SetFault(func(_ http.ResponseWriter, r *http.Request, path string, _ int) bool {
		if path != "model.safetensors" {
			return false
		}
		cancel() // in the middle, with the small files there
		<-r.Context().Done()
		return true
	})
	if _, err := x.Pull(ctx, "o/n", func(library.PullProgress) {}); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want that it was cancelled", err)
	}
	s.SetFault(nil)
	var last library.PullProgress
	pulled, err := x.Pull(t.Context(), "o/n", func(p library.PullProgress) { last = p })
	if err != nil || last.Part != 1 || !strings.HasPrefix(last.Text, "100 %") {
		t.Fatalf("got %+v, %v, last %+v", pulled, err, last)
	}
	if c, err := openModel(pulled.Path); err != nil {
		t.Error(err)
	} else if err := c.Close(); err != nil {
		t.Error(err)
	}
	sent := s.Served.Load()
	again, err := x.Pull(t.Context(), "o/n", func(library.PullProgress) {})
	if err != nil || again.Path != pulled.Path || s.Served.Load() != sent {
		t.Errorf("again: got %+v, %v, %d more bytes", again, err, s.Served.Load()-sent)
	}
	if _, err := x.Pull(t.Context(), "o/other", func(library.PullProgress) {}); err == nil || !strings.Contains(err.Error(), "no such repository") {
		t.Errorf("another: got %v", err)
	}
}
