package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"peregrine/ui/preset"
)

func TestAPresetIsReadAsItWasSaved(t *testing.T) {
	p := presets{filepath.Join(t.TempDir(), "presets")}
	warmth, k, seed, system, template := 0.3, 0, uint64(1<<63-1), "Answer\nin \"verse\".", ""
	want := preset.Preset{Name: "my verses", Temperature: &warmth, TopK: &k, Seed: &seed, System: &system, Template: &template}
	if _, err := p.Save(want); err != nil {
		t.Fatal(err)
	}
	most := uint64(1<<64 - 1)
	if _, err := p.Save(preset.Preset{Name: "large", Seed: &most}); err == nil || !strings.Contains(err.Error(), "take a smaller one") {
		t.Errorf("got %v for a seed that the file cannot hold, want a refusal", err)
	}
	got, err := p.List()
	if err != nil || len(got) != 1 {
		t.Fatalf("got %v, %v", got, err)
	}
	if diff := cmp.Diff(want, got[0]); diff != "" {
		t.Error(diff)
	}
}

func TestAPresetThatIsReplacedIsKept(t *testing.T) {
	p := presets{t.TempDir()}
	hand := "# my own words\ntemperature = 0.1\n"
	if err := os.WriteFile(p.path("x"), []byte(hand), 0o600); err != nil {
		t.Fatal(err)
	}
	warmth := 0.9
	said, err := p.Save(preset.Preset{Name: "x", Temperature: &warmth})
	if err != nil || !strings.Contains(said, "x.toml.old") {
		t.Errorf("got %q, %v, want where the old one is", said, err)
	}
	if old, err := os.ReadFile(p.path("x") + ".old"); err != nil || string(old) != hand {
		t.Errorf("got %q, %v, want what was there", old, err)
	}
	entries, err := os.ReadDir(p.dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("got %v, %v, want the two files alone", entries, err)
	}
}

func TestAPresetThatCannotBeReadIsNamedAndHidesNoOther(t *testing.T) {
	p := presets{t.TempDir()}
	for name, text := range map[string]string{
		"good.toml": "top_k = 3\n", "range.toml": "top_p = 3.0\n", "typo.toml": "temprature = 1.0\n", "broken.toml": "temperature = \n",
		"kind.toml": "temperature = \"hot\"\n", "notes.txt": "no preset",
	} {
		if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	list, err := p.List()
	if len(list) != 1 || list[0].Name != "good" || *list[0].TopK != 3 {
		t.Errorf("got %v, want the good one", list)
	}
	for _, want := range []string{"range.toml", "want 0 to 1", "typo.toml", `"temprature"`, "broken.toml: line 1", "kind.toml"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
}

func TestNamesThatAreNoFilesAreRefused(t *testing.T) {
	p := presets{t.TempDir()}
	for _, name := range []string{"", "save", "../x", "a/b", ".x", "x\x00", " x", strings.Repeat("x", 65), "a\nb"} {
		if _, err := p.Save(preset.Preset{Name: name}); err == nil || !strings.Contains(err.Error(), "no name for a preset") {
			t.Errorf("%q: got %v, want a refusal", name, err)
		}
	}
	if list, err := (presets{filepath.Join(p.dir, "none")}).List(); err != nil || list != nil {
		t.Errorf("without a folder: got %v, %v", list, err)
	}
}
