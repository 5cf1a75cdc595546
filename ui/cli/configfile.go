package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/cobra"

	"peregrine/model"
	"peregrine/model/hub"
	"peregrine/ui"
)

// config is config.toml. Pointers are fields that the model's own defaults fill when they are absent.
type config struct {
	Model        string              `toml:"model"`
	Backend      string              `toml:"backend"`
	Device       int                 `toml:"device"`
	Threads      int                 `toml:"threads"`
	ISA          string              `toml:"isa"`
	Precision    string              `toml:"precision"`
	Context      int                 `toml:"context"`
	Speculation  string              `toml:"speculation"` // on, off
	Template     string              `toml:"template"`
	System       string              `toml:"system"`
	MaxNewTokens int                 `toml:"max_new_tokens"`
	KeepRepacked string              `toml:"keep_repacked"` // on, off
	Theme        string              `toml:"theme"`         // auto, light, dark
	Mouse        string              `toml:"mouse"`         // on, or off: the terminal's own selection
	Sampling     samplingConfig      `toml:"sampling,omitempty"`
	Keys         map[string][]string `toml:"keys,omitempty"`
}

type samplingConfig struct {
	Temperature       *float64 `toml:"temperature,omitempty"`
	TopK              *int     `toml:"top_k,omitempty"`
	TopP              *float64 `toml:"top_p,omitempty"`
	MinP              *float64 `toml:"min_p,omitempty"`
	TypicalP          *float64 `toml:"typical_p,omitempty"`
	RepetitionPenalty *float64 `toml:"repetition_penalty,omitempty"`
	Seed              *uint64  `toml:"seed,omitempty"`
}

// readConfig reads config.toml. A file that the user named must be there; the default one need not.
func (s *settings) readConfig() error {
	path, named := s.configPath, s.configPath != ""
	if !named {
		var err error
		if path, err = configPath(); err != nil {
			return nil //nolint:nilerr // without a home there is no default config file, which is no error
		}
	}
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && !named {
		return nil
	}
	if err != nil {
		return usage("config: %v; name a readable file with --config", err)
	}
	decoder := toml.NewDecoder(strings.NewReader(string(raw))).DisallowUnknownFields()
	if err := decoder.Decode(&s.file); err != nil {
		return usage("config: %s: %s", path, tomlError(err))
	}
	return nil
}

// tomlError says where config.toml is wrong, in one line.
func tomlError(err error) string {
	var strict *toml.StrictMissingError
	if errors.As(err, &strict) && len(strict.Errors) > 0 {
		row, _ := strict.Errors[0].Position()
		return fmt.Sprintf("line %d: no setting is called %q; `peregrine --config /dev/null config show` lists them all",
			row, strings.Join(strict.Errors[0].Key(), "."))
	}
	var syntax *toml.DecodeError
	if errors.As(err, &syntax) {
		row, column := syntax.Position()
		message := strings.TrimPrefix(syntax.Error(), "toml: ")
		if rest, ok := strings.CutPrefix(message, "cannot decode TOML "); ok { // what follows are this program's own types
			kind, _, _ := strings.Cut(rest, " ")
			message = "this setting takes no value of the kind " + kind
		}
		return fmt.Sprintf("line %d, column %d: %s; correct it, or name another file with --config", row, column, message)
	}
	return err.Error()
}

// helpsRepair says that cmd must work with a config.toml that cannot be read: it tells where that file is, or completes the
// command line of whoever is about to mend it.
func helpsRepair(cmd *cobra.Command) bool {
	switch cmd.Name() {
	case cobra.ShellCompRequestCmd, cobra.ShellCompNoDescRequestCmd, "help":
		return true
	}
	parent := cmd.Parent()
	return parent != nil && (parent.Name() == "completion" || parent.Name() == "config" && cmd.Name() == "path")
}

// show writes the settings in effect as a config.toml. Values that nobody set and a model's generation_config.json may give
// stand there as comments: in force, they would hide the model's.
func (c config) show(w io.Writer) error {
	top := c
	top.Sampling, top.Keys = samplingConfig{}, nil
	top.Model = cmp.Or(c.Model, hub.Default.Name)
	top.Backend = cmp.Or(c.Backend, "auto")
	top.Precision = cmp.Or(c.Precision, "fast")
	top.Speculation = cmp.Or(c.Speculation, "on")
	top.KeepRepacked = cmp.Or(c.KeepRepacked, "on")
	top.Theme = cmp.Or(c.Theme, "auto")
	top.Mouse = cmp.Or(c.Mouse, "on")
	text, err := toml.Marshal(top)
	if err != nil {
		return err
	}
	var b strings.Builder
	b.Write(text)
	b.WriteString("\n[sampling]\n")
	fallback := (&settings{}).sampling(model.GenerationConfig{})
	line := func(name string, set bool, value any) {
		if set {
			fmt.Fprintf(&b, "%s = %v\n", name, value)
		} else {
			fmt.Fprintf(&b, "# %s = %v # unless the model says otherwise\n", name, value)
		}
	}
	v := c.Sampling
	line("temperature", v.Temperature != nil, pick(fallback.Temperature, v.Temperature))
	line("top_k", v.TopK != nil, pick(fallback.TopK, v.TopK))
	line("top_p", v.TopP != nil, pick(fallback.TopP, v.TopP))
	line("min_p", v.MinP != nil, pick(fallback.MinP, v.MinP))
	line("typical_p", v.TypicalP != nil, pick(fallback.TypicalP, v.TypicalP))
	line("repetition_penalty", v.RepetitionPenalty != nil, pick(fallback.RepetitionPenalty, v.RepetitionPenalty))
	if v.Seed != nil {
		line("seed", true, *v.Seed)
	} else {
		b.WriteString("# seed = 1 # without one every reply has its own\n")
	}
	keys := ui.Keys()
	maps.Copy(keys, c.Keys)
	bound, err := toml.Marshal(map[string]any{"keys": keys})
	if err != nil {
		return err
	}
	b.WriteString("\n")
	b.Write(bound)
	_, err = io.WriteString(w, b.String())
	return err
}
