package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"peregrine/model"
	"peregrine/model/generate"
	"peregrine/ui"
)

// Of the backends of this build, with the emulator or without, the help names all and no other.
func TestHelpNamesEveryBackend(t *testing.T) {
	home(t)
	for line := range strings.Lines(succeed(t, "", "--help")) {
		if !strings.Contains(line, "--backend ") {
			continue
		}
		for _, name := range append(backends(), "emulator") {
			if got, want := strings.Contains(line, name), slices.Contains(backends(), name); got != want {
				t.Errorf("%q names %s: %v, want %v", line, name, got, want)
			}
		}
		return
	}
	t.Error("the help has no --backend")
}

func TestSettingsFlagOverFileOverModel(t *testing.T) {
	dir := home(t)
	file := filepath.Join(dir, "c.toml")
	if err := os.WriteFile(file, []byte("system = \"be brief\"\n[sampling]\ntemperature = 0.3\ntop_k = 7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out := succeed(t, "", "--config", file, "config", "show")
	if !strings.Contains(out, "be brief") || !strings.Contains(out, "top_k = 7") {
		t.Errorf("got %s", out)
	}
	temperature, k, no := 0.5, 3, false
	s := &settings{}
	s.file.Sampling.TopK = &k
	got := s.sampling(model.GenerationConfig{Temperature: &temperature})
	if got.Temperature != 0.5 || got.TopK != 3 {
		t.Errorf("got %+v", got)
	}
	if got := (&settings{}).sampling(model.GenerationConfig{}); got.Temperature != 0.8 || got.TopK != 50 {
		t.Errorf("defaults are %+v, want those of the original card's call", got)
	}
	if got := (&settings{}).sampling(model.GenerationConfig{DoSample: &no}); got.Temperature != 0 {
		t.Errorf("do_sample false gives temperature %v, want 0", got.Temperature)
	}
	topP, minP, typical, penalty := 0.9, 0.1, 0.8, 1.2
	got = (&settings{}).sampling(model.GenerationConfig{TopP: &topP, MinP: &minP, TypicalP: &typical, RepetitionPenalty: &penalty})
	want := generate.Sampling{Temperature: 0.8, TopK: 50, TopP: 0.9, MinP: 0.1, TypicalP: 0.8, RepetitionPenalty: 1.2}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	warm := &settings{}
	warm.file.Sampling.Temperature = &temperature
	if got := warm.sampling(model.GenerationConfig{DoSample: &no}); got.Temperature != 0.5 {
		t.Errorf("do_sample false hides the temperature that the user gave: %v", got.Temperature)
	}
}

func TestCompletionScripts(t *testing.T) {
	home(t)
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if out := succeed(t, "", "completion", shell); !strings.Contains(out, "peregrine") {
			t.Errorf("%s: got %q", shell, out)
		}
	}
}

func TestConfigShowPrintsEverySettingAndReadsItBack(t *testing.T) {
	file := filepath.Join(home(t), "c.toml")
	text := "system = 'be brief'\n[sampling]\ntop_k = 7\nseed = 9007199254740993\n[keys]\nstop = ['f9']\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	shown := succeed(t, "", "--config", file, "config", "show")
	for _, want := range []string{
		"model = 'smollm2'", "backend = 'auto'", "precision = 'fast'", "speculation = 'on'", "system = 'be brief'", "theme = 'auto'", "mouse = 'on'",
		"\ntop_k = 7\n", "\n# temperature = 0.8 ", "\nseed = 9007199254740993\n", "stop = ['f9']",
	} {
		if !strings.Contains(shown, want) {
			t.Errorf("no %q in\n%s", want, shown)
		}
	}
	for action := range ui.Keys() {
		if !strings.Contains(shown, "\n"+action+" = [") {
			t.Errorf("no key of %s in\n%s", action, shown)
		}
	}
	if err := os.WriteFile(file, []byte(shown), 0o600); err != nil {
		t.Fatal(err)
	}
	if again := succeed(t, "", "--config", file, "config", "show"); again != shown {
		t.Errorf("read back it is\n%s\nwant\n%s", again, shown)
	}
}

func TestBrokenConfigHidesNeitherItsPathNorCompletions(t *testing.T) {
	file := filepath.Join(home(t), "c.toml")
	if err := os.WriteFile(file, []byte("nosuch = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		args []string
		want string
	}{
		{[]string{"config", "path"}, file},
		{[]string{"completion", "fish"}, "complete -c peregrine"},
		{[]string{"__complete", "--backend", ""}, "oracle"},
		{[]string{"__complete", "--template", "inst"}, "instruction"},
	}
	for _, c := range cases {
		if out := succeed(t, "", append([]string{"--config", file}, c.args...)...); !strings.Contains(out, c.want) {
			t.Errorf("%v: got %q, want %q in it", c.args, out, c.want)
		}
	}
}
