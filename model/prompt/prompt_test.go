package prompt

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"peregrine/model/generate"
)

// msg returns a conversation: role, content, role, content, …
func msg(parts ...string) []generate.Message {
	var out []generate.Message
	for i := 0; i+1 < len(parts); i += 2 {
		out = append(out, generate.Message{Role: generate.Role(parts[i]), Content: parts[i+1]})
	}
	return out
}

func mustNew(t testing.TB, name string, src Source) Template {
	t.Helper()
	tm, err := New(name, src)
	if err != nil {
		t.Fatal(err)
	}
	return tm
}

func render(t testing.TB, tm Template, messages []generate.Message) Text {
	t.Helper()
	text, err := tm.Render(messages, true)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestBuiltinTemplates(t *testing.T) {
	long := msg("system", "Be brief.", "user", " Hi\r\n\r\nyou ", "assistant", " Yo\n", "user", "Q")
	for _, c := range []struct {
		name, template string
		messages       []generate.Message
		open           bool
		want           string
	}{
		{"the original card", Instruction, msg("user", "Who are you?"), true, "### Instruction: Who are you?\n### Response:"},
		{
			"instruction with several turns", Instruction, long, true,
			"Be brief.\n\n### Instruction:  Hi\r\n\r\nyou \n### Response: Yo\n\n\n### Instruction: Q\n### Response:",
		},
		{
			"instruction with a reply from elsewhere", Instruction, msg("user", "a", "assistant", "b", "user", "c"), true,
			"### Instruction: a\n### Response: b\n\n### Instruction: c\n### Response:",
		},
		{
			"instruction with a reply that begins with a newline", Instruction, msg("user", "a", "assistant", "\nb"), false,
			"### Instruction: a\n### Response:\nb\n\n",
		},
		{"instruction with an empty reply", Instruction, msg("user", "a", "assistant", ""), false, "### Instruction: a\n### Response:\n\n"},
		{"instruction with an empty system text", Instruction, msg("system", "", "user", "a"), true, "### Instruction: a\n### Response:"},
		{"falcon", Falcon, msg("user", "Hi"), true, "\n\nUser: Hi\n\nAssistant:"},
		{"falcon with several turns", Falcon, long, true, "Be brief.\n\nUser: Hi\nyou\n\nAssistant: Yo\n\nUser: Q\n\nAssistant:"},
		{
			"chatml", ChatML, msg("system", "S", "user", "u", "assistant", "a", "user", "v"), true,
			"<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nu<|im_end|>\n<|im_start|>assistant\na<|im_end|>\n<|im_start|>user\nv<|im_end|>\n<|im_start|>assistant\n",
		},
		{"chatml without the reply's beginning", ChatML, msg("user", "u"), false, "<|im_start|>user\nu<|im_end|>\n"},
		{"none", None, msg("user", "a", "assistant", "b", "user", " c\n"), true, " c\n"},
		{"none with a system text", None, msg("system", "S", "user", "a"), true, "S\n\na"},
		{"none that goes on with a reply", None, msg("user", "a", "assistant", " b"), false, "a b"},
		{"none of nothing", None, nil, true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := mustNew(t, c.template, Source{Specials: []string{}}).Render(c.messages, c.open)
			if err != nil || got.String != c.want || got.Guards != nil {
				t.Errorf("got %q %v %v, want %q without guards", got.String, got.Guards, err, c.want)
			}
		})
	}
}

func TestBuiltinTemplatesRefuse(t *testing.T) {
	for _, c := range []struct {
		template string
		messages []generate.Message
		want     string
	}{
		{Falcon, msg("user", "a", "user", "b"), "Conversation roles must alternate user/assistant/user/assistant/..."},
		{Falcon, msg("assistant", "a"), "Conversation roles must alternate"},
		{Falcon, nil, "there is no message"},
		{Instruction, msg("tool", "x"), `message 1 has the role "tool"`},
		{ChatML, msg("user", "a", "x|>\n", "b"), `message 2 has the role "x|>\n"`},
		{None, msg("tool", "x"), `the role "tool"`},
	} {
		_, err := mustNew(t, c.template, Source{}).Render(c.messages, true)
		if !errors.Is(err, ErrTemplate) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.template, err, c.want)
		}
	}
}

func TestStops(t *testing.T) {
	falcon3 := Source{ChatTemplate: "{{ '<|user|>\n' }}{{ '<|system|>' }}"}
	for _, c := range []struct {
		name string
		src  Source
		want []string
	}{
		{Instruction, Source{}, []string{"\n### Instruction", "### Instruction:", "\n### Response"}},
		{Falcon, Source{}, []string{"\nUser:", "\nAssistant:"}},
		{ChatML, Source{}, []string{"<|im_end|>", "<|im_start|>"}},
		{ChatML, Source{Specials: []string{"<|im_start|>", "<|im_end|>"}}, nil},
		{None, Source{}, nil},
		{Model, falcon3, []string{"<|user|>", "<|system|>"}},
		{Model, Source{ChatTemplate: falcon3.ChatTemplate, Specials: []string{"<|user|>"}}, []string{"<|system|>"}},
	} {
		got := mustNew(t, c.name, c.src).Stops()
		if strings.Join(got, "|") != strings.Join(c.want, "|") {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestModelTemplateIsTheDefaultWhereThereIsOne(t *testing.T) {
	named := Source{Named: map[string]string{"default": "d", "tool_use": "t", "rag": "r"}}
	for _, c := range []struct {
		src     Source
		name    string
		names   string
		renders string
	}{
		{Source{}, "instruction", "instruction falcon chatml none", "### Response:"},
		{Source{ChatTemplate: "own"}, "model", "model instruction falcon chatml none", "own"},
		{named, "model", "model model:rag model:tool_use instruction falcon chatml none", "d"},
		{Source{Named: map[string]string{"rag": "r"}}, "instruction", "model:rag instruction falcon chatml none", "### Response:"},
	} {
		tm := mustNew(t, "", c.src)
		if got := render(t, tm, nil).String; tm.Name() != c.name || Default(c.src) != c.name || got != c.renders {
			t.Errorf("got %s (%s) %q, want %s %q", tm.Name(), Default(c.src), got, c.name, c.renders)
		}
		if got := strings.Join(Names(c.src), " "); got != c.names {
			t.Errorf("got %s, want %s", got, c.names)
		}
	}
	if got := render(t, mustNew(t, "model:tool_use", named), nil).String; got != "t" {
		t.Errorf("got %q, want t", got)
	}
}

func TestFileIsATemplate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mine.jinja")
	if err := os.WriteFile(path, []byte("{{ bos_token }}[{{ messages[0].content }}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tm := mustNew(t, path, Source{BOSToken: "<s>"})
	if got := render(t, tm, msg("user", "x")).String; got != "<s>[x]" || tm.Name() != path {
		t.Errorf("got %q from %s", got, tm.Name())
	}
}

func TestNewRefuses(t *testing.T) {
	dir := t.TempDir()
	big := filepath.Join(dir, "big")
	if err := os.WriteFile(big, make([]byte, maxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	bad := filepath.Join(dir, "bad")
	if err := os.WriteFile(bad, []byte("\n{% if %}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"mistral":    "neither the name of a template nor a file; use one of instruction, falcon, chatml, none, or the path",
		Model:        "the model has none; choose another with --template instruction",
		"model:rag":  "neither the name",
		dir:          "not a regular file",
		big:          "1048577 bytes are too many",
		bad:          "line 2: expected an expression",
		"/dev/zero":  "not a regular file",
		"a\x00b":     "invalid argument",
		"\x1b[31mx~": "neither the name",
	} {
		_, err := New(name, Source{})
		if !errors.Is(err, ErrTemplate) || !strings.Contains(err.Error(), want) || strings.ContainsAny(err.Error(), "\x1b\x00\n") {
			t.Errorf("%q: got %v, want %s", name, err, want)
		}
	}
	if _, err := New(Model, Source{ChatTemplate: "{{ x"}); !errors.Is(err, ErrTemplate) {
		t.Errorf("got %v, want ErrTemplate", err)
	}
}

func TestModelErrorNamesTemplateMessageAndRemedy(t *testing.T) {
	tm := mustNew(t, Model, Source{ChatTemplate: "{{ raise_exception('Not ' + messages[0].content) }}"})
	_, err := tm.Render(msg("user", "\x1b]0;x\x07\nthat"), true)
	want := `prompt: template "model": Not ␛]0;x␛ that; choose another with --template instruction`
	if !errors.Is(err, ErrTemplate) || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	_, err = tm.Render(msg("user", strings.Repeat("x", 100000)), true)
	if err == nil || len(err.Error()) > 1000 {
		t.Errorf("got an error of %d bytes, want at most 1000", len(err.Error()))
	}
}

func TestModelTemplateSeesTransformersVariables(t *testing.T) {
	src := Source{
		ChatTemplate: "{{ bos_token }}|{{ eos_token }}|{{ tools is none }}|{{ documents is none }}|{{ unk is defined }}|{{ add_generation_prompt }}|{{ strftime_now('%Y') }}|{{ messages[0] | tojson }}",
		BOSToken:     "<s>", EOSToken: "</s>", Now: func() time.Time { return time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC) },
	}
	want := `<s>|</s>|True|True|False|True|2031|{"role": "user", "content": "<é>"}`
	if got := render(t, mustNew(t, "", src), msg("user", "<é>")).String; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A conversation of half a megabyte is no runaway template.
func TestLongConversationFitsTheBudget(t *testing.T) {
	raw, err := os.ReadFile("testdata/templates/thinking.jinja")
	if err != nil {
		t.Fatal(err)
	}
	var messages []generate.Message
	for range 250 {
		messages = append(messages, msg("user", strings.Repeat("text ", 200), "assistant", strings.Repeat("reply ", 170))...)
	}
	start := time.Now()
	got := render(t, mustNew(t, "", Source{ChatTemplate: string(raw), Specials: []string{"<|im_end|>"}}), messages)
	if len(got.String) < 500_000 {
		t.Errorf("rendered %d bytes", len(got.String))
	}
	t.Logf("%d bytes in %v", len(got.String), time.Since(start))
}

// Package jinja measures their time and memory.
func TestHostileModelTemplateIsRefused(t *testing.T) {
	for _, source := range []string{
		"{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
		"{{ 'x' * 10000000000 }}",
		"{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
		"{% for m in messages %}{{ m.content * 1000000 }}{% endfor %}",
		"{{ '%s' % messages % 0 }}",
		"{{ 1 % 0 }}",
	} {
		_, err := mustNew(t, "", Source{ChatTemplate: source}).Render(msg("user", "hello", "assistant", "hello"), true)
		if !errors.Is(err, ErrTemplate) {
			t.Errorf("%s: got %v, want ErrTemplate", source, err)
		}
	}
}

// conversation is a case of the fixtures and of testdata.
type conversation struct {
	Template string             `json:"template"`
	BOS      string             `json:"bos_token"`
	EOS      string             `json:"eos_token"`
	Messages []generate.Message `json:"messages"`
	Add      bool               `json:"add_generation_prompt"`
	Text     *string            `json:"text"`
	Error    string             `json:"error"`
}

// check renders a case and compares text or error.
func (c conversation) check(t *testing.T, tm Template) {
	t.Helper()
	got, err := tm.Render(c.Messages, c.Add)
	switch {
	case c.Text == nil && (!errors.Is(err, ErrTemplate) || !strings.Contains(err.Error(), c.Error)):
		t.Errorf("%v: got %q %v, want error %s", c.Messages, got.String, err, c.Error)
	case c.Text != nil && (err != nil || got.String != *c.Text):
		t.Errorf("%v:\ngot  %q %v\nwant %q", c.Messages, got.String, err, *c.Text)
	}
}

// TestOwnTemplatesSameAsJinja2 renders templates of our own, built as published ones are, for conversations with everything that
// is special. Expected texts are Jinja2's (testdata/make.py).
func TestOwnTemplatesSameAsJinja2(t *testing.T) {
	raw, err := os.ReadFile("testdata/cases.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(bytes.NewReader(raw))
	lines.Buffer(nil, 1<<20)
	n := 0
	for lines.Scan() {
		var c conversation
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		source, err := os.ReadFile(filepath.Join("testdata/templates", c.Template))
		if err != nil {
			t.Fatal(err)
		}
		tm := mustNew(t, Model, Source{ChatTemplate: string(source), BOSToken: c.BOS, EOSToken: c.EOS})
		t.Run(c.Template, func(t *testing.T) { c.check(t, tm) })
		n++
	}
	if err := lines.Err(); err != nil || n != 360 {
		t.Errorf("%d cases, %v; want 360", n, err)
	}
}

// TestPublishedTemplates renders the templates of published models for the 288 cases that lie beside the repository. They are
// other projects' texts and not ours to copy: without them the test is skipped, and TestOwnTemplatesSameAsJinja2 stands in.
func TestPublishedTemplates(t *testing.T) {
	dir := published(t)
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, path := range files {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var file struct {
			Template string         `json:"template"`
			BOS      string         `json:"bos_token"`
			EOS      string         `json:"eos_token"`
			Cases    []conversation `json:"cases"`
		}
		if err := json.Unmarshal(raw, &file); err != nil {
			t.Fatal(err)
		}
		tm := mustNew(t, Model, Source{ChatTemplate: file.Template, BOSToken: file.BOS, EOSToken: file.EOS})
		t.Run(filepath.Base(path), func(t *testing.T) {
			for _, c := range file.Cases {
				c.check(t, tm)
			}
		})
		n += len(file.Cases)
		if filepath.Base(path) == "falcon-7b-instruct.json" {
			t.Run("falcon in Go is the official one", func(t *testing.T) {
				for _, c := range file.Cases {
					c.check(t, mustNew(t, Falcon, Source{}))
				}
			})
		}
	}
	if n != 288 {
		t.Errorf("%d cases, want 288", n)
	}
}

// published returns the folder of published templates beside the repository, or skips the test.
func published(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "shared", "README.md")); err == nil {
			return filepath.Join(dir, "shared", "fixtures", "chat-templates")
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Skip("no shared folder beside the repository: its 288 cases do not run")
		}
		dir = up
	}
}

func TestCheckRefusesWhatNoModelCanMend(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "broken.jinja")
	if err := os.WriteFile(broken, []byte("{{ x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range append(Names(Source{Named: map[string]string{"default": "x", "tools": "y"}}), "", "model:other") {
		if err := Check(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for name, want := range map[string]string{"no/such": "use one of model, instruction", broken: `missing "}}"`} {
		if err := Check(name); !errors.Is(err, ErrTemplate) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q in it", name, err, want)
		}
	}
}

func TestInstructionDoesNotRecommendItself(t *testing.T) {
	template, err := New(Instruction, Source{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = template.Render([]generate.Message{{Role: "tool", Content: "x"}}, true)
	if err == nil || strings.Contains(err.Error(), "--template") {
		t.Errorf("got %v, want a remedy that is another", err)
	}
}
