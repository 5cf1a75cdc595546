package cli

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"peregrine/model"
	"peregrine/model/generate"
	"peregrine/model/prompt"
	"peregrine/model/sample"
)

// settings are all choices of a run: defaults, then config.toml, then flags.
type settings struct {
	file config // as config.toml says, flags laid over it

	configPath string
	prompt     string
	promptSet  bool
	raw        bool
	json       bool
	plain      bool
	open       string
	resume     string
	resumeSet  bool
	logPath    string
	seed       uint64
	loaded     bool // the command line and config.toml are good
	log        *slog.Logger
	logFile    *os.File
}

// register declares the flags. Those of the model are persistent, since every command that opens one takes them.
func (s *settings) register(root *cobra.Command) {
	p := root.PersistentFlags()
	p.StringVar(&s.configPath, "config", "", "config file (default: "+configHint+")")
	p.StringVar(&s.logPath, "log", "", "append a log for bug reports to this file")
	p.String("backend", "auto", backendHelp())
	p.Int("device", 0, "GPU to use, as inspect counts them")
	p.Int("threads", 0, "CPU threads; 0: one for each physical core")
	p.String("isa", "", "CPU instruction set to use; empty: the best there is")
	p.String("precision", "fast", "fast, or f32: float32 activations and KV cache")
	p.String("keep-repacked", "on", "on: use the cache of weights as the CPU reads them, and let chats and pulls keep large ones; off: neither")
	p.Int("context", 0, "context to hold, in tokens; 0: what the model was trained for, 8192 at most")

	f := root.Flags()
	f.StringVarP(&s.prompt, "prompt", "p", "", "answer this and exit; standard input is appended when it is not a terminal")
	f.BoolVar(&s.json, "json", false, "with -p or a pipe: print one JSON object instead of the text")
	f.BoolVar(&s.raw, "raw", false, "complete the text as it is, without a template")
	f.BoolVar(&s.plain, "plain", false, "line by line, without the full screen (also ACCESSIBLE=1 and TERM=dumb)")
	f.StringVar(&s.open, "open", "", "open this conversation file")
	f.StringVar(&s.resume, "resume", "", "go on with the last conversation, or with the one of this name")
	f.Lookup("resume").NoOptDefVal = resumeLast
	f.String("speculation", "on", "on: verify several tokens at once where the text repeats; off: one by one. The text is the same")
	f.String("template", "", "model, instruction, falcon, chatml, none, or a Jinja file (default: the model's own, else instruction)")
	f.String("system", "", "system text of new conversations")
	f.Int("max-new-tokens", 0, "limit of a reply in tokens; 0: the model's own, else none")
	f.String("theme", "auto", "auto, light or dark")
	f.Float64("temperature", 0, "sampling temperature; 0: always the most probable token (default: the model's, else 0.8)")
	f.Int("top-k", 0, "sample from the k most probable tokens; 0: all (default: the model's, else 50)")
	f.Float64("top-p", 0, "sample from the most probable tokens that have this mass together (0 or 1: off)")
	f.Float64("min-p", 0, "drop tokens less probable than this share of the most probable one (0: off)")
	f.Float64("typical-p", 0, "locally typical sampling with this mass (0 or 1: off)")
	f.Float64("repetition-penalty", 0, "make tokens that were there already less probable (0 or 1: off)")
	f.Uint64Var(&s.seed, "seed", 0, "same seed, same text")
	completeValues(root)
}

// completeValues tells the shells which values flags take. What is none of a template's names is a file, which shells
// complete by themselves.
func completeValues(root *cobra.Command) {
	for flag, values := range map[string][]cobra.Completion{
		"backend":   backends(),
		"precision": {"fast", "f32"}, "speculation": {"on", "off"}, "keep-repacked": {"on", "off"},
		"theme":    {"auto", "light", "dark"},
		"template": {prompt.Model, prompt.Instruction, prompt.Falcon, prompt.ChatML, prompt.None},
	} {
		directive := cobra.ShellCompDirectiveNoFileComp
		if flag == "template" {
			directive = cobra.ShellCompDirectiveDefault
		}
		must(root.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, directive)))
	}
	must(root.RegisterFlagCompletionFunc("device", func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return completeDevices(), cobra.ShellCompDirectiveNoFileComp
	}))
}

// load reads config.toml, lays the flags that were given over it, checks both and opens the log.
func (s *settings) load(cmd *cobra.Command) error {
	if err := cmd.ValidateRequiredFlags(); err != nil {
		return usage("%v; see %s --help", err, cmd.CommandPath())
	}
	if err := s.readConfig(); err != nil {
		if !helpsRepair(cmd) {
			return err
		}
		s.file = config{}
	}
	flags := cmd.Flags()
	set := flagSet{flags}
	set.str("backend", &s.file.Backend)
	set.int("device", &s.file.Device)
	set.int("threads", &s.file.Threads)
	set.str("isa", &s.file.ISA)
	set.str("precision", &s.file.Precision)
	set.int("context", &s.file.Context)
	set.str("speculation", &s.file.Speculation)
	set.str("keep-repacked", &s.file.KeepRepacked)
	set.str("template", &s.file.Template)
	set.str("system", &s.file.System)
	set.int("max-new-tokens", &s.file.MaxNewTokens)
	set.str("theme", &s.file.Theme)
	v := &s.file.Sampling
	set.float("temperature", &v.Temperature)
	set.float("top-p", &v.TopP)
	set.float("min-p", &v.MinP)
	set.float("typical-p", &v.TypicalP)
	set.float("repetition-penalty", &v.RepetitionPenalty)
	if flags.Changed("top-k") {
		k, err := flags.GetInt("top-k")
		if err != nil {
			return usage("%v", err)
		}
		v.TopK = &k
	}
	if flags.Changed("seed") {
		v.Seed = &s.seed
	}
	s.promptSet, s.resumeSet = flags.Changed("prompt"), flags.Changed("resume")
	if err := s.check(); err != nil {
		return err
	}
	if err := s.openLog(); err != nil {
		return err
	}
	s.loaded = true
	return nil
}

// check refuses values before a model is loaded for them.
func (s *settings) check() error {
	if err := oneOf("--backend", s.file.Backend, append([]string{""}, backends()...)...); err != nil {
		return err
	}
	if err := oneOf("--precision", s.file.Precision, "", "fast", "f32"); err != nil {
		return err
	}
	if err := oneOf("--speculation", s.file.Speculation, "", "on", "off"); err != nil {
		return err
	}
	if err := oneOf("--keep-repacked", s.file.KeepRepacked, "", "on", "off"); err != nil {
		return err
	}
	if err := oneOf("--theme", s.file.Theme, "", "auto", "light", "dark"); err != nil {
		return err
	}
	if err := oneOf("mouse in config.toml", s.file.Mouse, "", "on", "off"); err != nil {
		return err
	}
	for name, v := range map[string]int{
		"--threads": s.file.Threads, "--device": s.file.Device, "--context": s.file.Context, "--max-new-tokens": s.file.MaxNewTokens,
	} {
		if v < 0 {
			return usage("%s is %d; it must be 0 or more", name, v)
		}
	}
	if err := sample.Validate(s.sampling(model.GenerationConfig{})); err != nil {
		return usage("%v", err)
	}
	return nil
}

func oneOf(name, value string, allowed ...string) error {
	for _, a := range allowed {
		if value == a {
			return nil
		}
	}
	return usage("%s is %q; use %s", name, value, strings.Join(allowed[1:], ", "))
}

// precision translates the setting.
func (s *settings) precision() model.Precision {
	if s.file.Precision == "f32" {
		return model.Precise
	}
	return model.Fast
}

// sampling merges field by field: what the user said, else what the model's generation_config.json says, else the
// original model card's call, temperature 0.8 and top-k 50. Only an explicit do_sample: false means greedy.
func (s *settings) sampling(g model.GenerationConfig) generate.Sampling {
	u := s.file.Sampling
	out := generate.Sampling{
		Temperature:       pick(0.8, g.Temperature, u.Temperature),
		TopK:              pick(50, g.TopK, u.TopK),
		TopP:              pick(0, g.TopP, u.TopP),
		MinP:              pick(0, g.MinP, u.MinP),
		TypicalP:          pick(0, g.TypicalP, u.TypicalP),
		RepetitionPenalty: pick(0, g.RepetitionPenalty, u.RepetitionPenalty),
		Seed:              u.Seed,
	}
	if g.DoSample != nil && !*g.DoSample && u.Temperature == nil {
		out.Temperature = 0
	}
	return out
}

// pick returns the last value that is there.
func pick[T any](fallback T, values ...*T) T {
	for _, v := range values {
		if v != nil {
			fallback = *v
		}
	}
	return fallback
}

// flagSet copies flags that were given.
type flagSet struct{ flags *pflag.FlagSet }

func (f flagSet) str(name string, dst *string) {
	if f.flags.Changed(name) {
		*dst = f.flags.Lookup(name).Value.String()
	}
}

func (f flagSet) int(name string, dst *int) {
	if f.flags.Changed(name) {
		if v, err := f.flags.GetInt(name); err == nil {
			*dst = v
		}
	}
}

func (f flagSet) float(name string, dst **float64) {
	if f.flags.Changed(name) {
		if v, err := f.flags.GetFloat64(name); err == nil {
			*dst = &v
		}
	}
}

// openLog starts the log file, or a logger that drops everything.
func (s *settings) openLog() error {
	s.log = slog.New(slog.DiscardHandler)
	if s.logPath == "" {
		return nil
	}
	f, err := os.OpenFile(s.logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return usage("--log: %v; name a file in a writable folder", err)
	}
	s.logFile = f
	s.log = slog.New(slog.NewTextHandler(f, &slog.HandlerOptions{Level: slog.LevelDebug}))
	// Not the arguments: a bug report must not carry what was said.
	s.log.Info("peregrine", "version", version, "backend", s.file.Backend, "threads", s.file.Threads, "isa", s.file.ISA,
		"precision", s.file.Precision, "context", s.file.Context, "template", s.file.Template)
	return nil
}

// close ends the log.
func (s *settings) close() error {
	if s.logFile == nil {
		return nil
	}
	return s.logFile.Close()
}

const configHint = "$XDG_CONFIG_HOME/peregrine/config.toml"

func configPath() (string, error) {
	dir, err := xdg("XDG_CONFIG_HOME", ".config")
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "config.toml"), nil
}

func cacheDir() (string, error) { return xdg("XDG_CACHE_HOME", ".cache") }

func dataDir() (string, error) {
	return xdg("XDG_DATA_HOME", filepath.Join(".local", "share"))
}

// xdg returns the program's folder below the base directory that variable names. Relative values are ignored, as the XDG
// specification wants.
func xdg(variable, fallback string) (string, error) {
	if base := os.Getenv(variable); filepath.IsAbs(base) {
		return filepath.Join(base, "peregrine"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("no home folder: %w; set %s", err, variable)
	}
	return filepath.Join(home, fallback, "peregrine"), nil
}
