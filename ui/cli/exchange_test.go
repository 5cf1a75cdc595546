package cli

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"peregrine/history"
)

// exampleFiles returns files of other programs, those of package exchange.
func exampleFiles(t *testing.T, names ...string) []string {
	t.Helper()
	var paths []string
	for _, name := range names {
		path, err := filepath.Abs(filepath.Join("..", "..", "history", "exchange", "testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

func TestImportSavesWhatOtherProgramsWrote(t *testing.T) {
	home(t)
	files := exampleFiles(t, "chatgpt.json", "openai.jsonl")
	code, out, errs := program(t, "", append([]string{"history", "import"}, files...)...)
	if code != ExitOK || strings.Count(out, "\n") != 4 || !strings.Contains(out, "  Würfel & dice\n") || !strings.Contains(out, "  Capital of France?\n") {
		t.Errorf("exit code %d, %q; want four conversations", code, out)
	}
	for _, want := range []string{
		files[0] + `: message of role "tool": left out` + "\n", files[0] + " (chatgpt): 2 conversations saved\n",
		files[1] + " (openai): 2 conversations saved\n",
	} {
		if !strings.Contains(errs, want) {
			t.Errorf("no %q in %q", want, errs)
		}
	}
	list := succeed(t, "", "history", "list")
	if strings.Count(list, "\n") != 4 || !strings.Contains(list, "2023-11-14") {
		t.Errorf("list: got\n%s\nwant four, at their own times", list)
	}
	shown := succeed(t, "", "history", "show", "Würfel & dice")
	if !strings.Contains(shown, "Again 🎲") || strings.Contains(shown, "Five.") {
		t.Errorf("show: got %q, want the branch that was current", shown)
	}
}

func TestImportTwiceSavesOnce(t *testing.T) {
	home(t)
	file := exampleFiles(t, "sharegpt.json")[0]
	succeed(t, "", "history", "import", file)
	code, out, errs := program(t, "", "history", "import", file)
	if code != ExitOK || out != "" || !strings.Contains(errs, "(sharegpt): 0 conversations saved, 2 there already\n") {
		t.Errorf("exit code %d, %q, %q", code, out, errs)
	}
	if list := succeed(t, "", "history", "list"); strings.Count(list, "\n") != 2 {
		t.Errorf("list: got\n%s", list)
	}
}

func TestImportReadsTheOtherFilesToo(t *testing.T) {
	dir := home(t)
	bad := filepath.Join(dir, "bad\x1b.json")
	if err := os.WriteFile(bad, []byte(`{"messages":[{"role":"user","content":"kept"}]}`+"\n"+`{"messages":`), 0o600); err != nil {
		t.Fatal(err)
	}
	files := append([]string{filepath.Join(dir, "missing"), bad}, exampleFiles(t, "ollama.json")...)
	code, out, errs := program(t, "", append([]string{"history", "import"}, files...)...)
	if code != ExitError || !strings.Contains(out, "  kept\n") || !strings.Contains(out, "  What is in the picture?\n") {
		t.Errorf("exit code %d, %q; want what could be read", code, out)
	}
	if strings.Contains(errs, "\x1b") || !strings.Contains(errs, "missing: no such file") || !strings.Contains(errs, "line 2, byte 13: the file ends in the middle of a value") {
		t.Errorf("got %q", errs)
	}
}

// imported saves the conversations of a file and returns the id of the first.
func imported(t *testing.T, name string) string {
	t.Helper()
	out := succeed(t, "", "history", "import", exampleFiles(t, name)[0])
	return strings.Fields(out)[0]
}

func TestExportGivesWhatImportTakes(t *testing.T) {
	dir := home(t)
	id := imported(t, "chatgpt.json")
	for _, c := range []struct {
		format string
		all    bool
		want   []string // in the file
		said   string
	}{
		{"chatgpt", true, []string{`"Five."`, `"One."`, `"current_node": "m4"`, `"title": "Würfel & dice"`}, ""},
		{"openai", false, []string{`"content": "One."`}, "format openai has no place for: the title; times; the models' names"},
		{"markdown", true, []string{"# Würfel & dice", "## Branch 2 of 2", "**Assistant** · gpt-4o"}, "branches: 2, each written in full"},
		{"sts", true, []string{`"harness":"peregrine"`, `"Five."`}, ""},
	} {
		path := filepath.Join(dir, c.format)
		args := []string{"history", "export", id, "--format", c.format, "--output", path}
		if c.all {
			args = append(args, "--all-branches")
		}
		code, out, errs := program(t, "", args...)
		data, err := os.ReadFile(path)
		if code != ExitOK || out != "" || err != nil || !strings.Contains(errs, c.said) || c.said == "" && errs != "" {
			t.Errorf("%s: exit code %d, %q, %q, %v", c.format, code, out, errs, err)
		}
		for _, want := range c.want {
			if !strings.Contains(string(data), want) {
				t.Errorf("%s: no %q in\n%s", c.format, want, data)
			}
		}
		if stdout := succeed(t, "", slices.DeleteFunc(args, func(a string) bool { return a == "--output" || a == path })...); stdout != string(data) {
			t.Errorf("%s: standard output differs from the file: %q", c.format, stdout)
		}
		if c.format != "markdown" {
			succeed(t, "", "history", "import", path)
		}
	}
}

func TestExportRefusesWhatWouldLoseSomething(t *testing.T) {
	dir := home(t)
	id := imported(t, "openai.jsonl")
	there := filepath.Join(dir, "mine.txt")
	if err := os.WriteFile(there, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	gone := filepath.Join(dir, "new.json")
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{id, "--format", "openai", "--output", there}, ExitError, "there is a file already"},
		{[]string{id, "--format", "ollama", "--all-branches", "--output", gone}, ExitError, "holds one branch alone"},
		{[]string{id, "--format", "docx"}, ExitUsage, `format is "docx"; want one of openai, openai-jsonl, sharegpt`},
		{[]string{id}, ExitUsage, `"format"`},
		{[]string{"nothing", "--format", "openai"}, ExitError, "no such conversation in "},
		{[]string{"none.jsonl", "--format", "openai"}, ExitError, "none.jsonl: no such conversation: no such file or directory; `peregrine history list` shows"},
		{[]string{"a", "b", "--format", "openai"}, ExitUsage, "at most 1"},
	} {
		code, out, errs := program(t, "", append([]string{"history", "export"}, c.args...)...)
		if code != c.code || out != "" || !strings.Contains(errs, c.want) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%q: exit code %d, %q, %q; want %d and one line with %q", c.args, code, out, errs, c.code, c.want)
		}
	}
	if data, err := os.ReadFile(there); err != nil || string(data) != "mine" {
		t.Errorf("the file that was there holds %q, %v", data, err)
	}
	if _, err := os.Stat(gone); !os.IsNotExist(err) {
		t.Errorf("a failed export leaves %s behind: %v", gone, err)
	}
}

func TestCompletionOffersConversationsAndFormats(t *testing.T) {
	home(t)
	id := imported(t, "chatgpt.json")
	for _, args := range [][]string{{"history", "export", ""}, {"history", "show", ""}} {
		if out := succeed(t, "", append([]string{"__complete"}, args...)...); !strings.Contains(out, id+"\tWürfel & dice\n") {
			t.Errorf("%v: got %q", args, out)
		}
	}
	out := succeed(t, "", "__complete", "history", "export", "--format", "")
	if !strings.HasPrefix(out, "openai\tmessages of OpenAI's API, as JSON\nopenai-jsonl\t") || !strings.Contains(out, "\nmarkdown\t") || !strings.Contains(out, ":4\n") {
		t.Errorf("formats: got %q", out)
	}
}

// A terminal shows what a conversation holds; only a file or a pipe gets it as it is.
func TestExportToATerminalIsHarmless(t *testing.T) {
	var b strings.Builder
	err := writeVisible(&b, func(w io.Writer) error {
		_, err := io.WriteString(w, "a\x1b[31m\u0085\u202e")
		return err
	})
	if err != nil || strings.ContainsAny(b.String(), "\x1b\u0085\u202e") {
		t.Errorf("got %q, %v", b.String(), err)
	}
	dir := home(t)
	c, err := history.New(history.Header{Name: "n"}, []history.Message{{ID: "q", Role: "user", Content: "a\x1b\n\u202e"}}, "q")
	if err != nil {
		t.Fatal(err)
	}
	store, err := history.OpenStore(filepath.Join(dir, "XDG_DATA_HOME", "peregrine", "conversations"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Add(c); err != nil {
		t.Fatal(err)
	}
	if out := succeed(t, "", "history", "show", "n"); strings.ContainsAny(out, "\x1b\u202e") || !strings.HasPrefix(out, "# n\n\n**You**") {
		t.Errorf("show: got %q", out)
	}
	if out := succeed(t, "", "history", "export", "n", "--format", "markdown"); !strings.Contains(out, "a\x1b\n\u202e") {
		t.Errorf("a pipe got %q, want the text as it is", out)
	}
}
