package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"peregrine/model/gguf"
)

// TokenizerSource says where a checkpoint's vocabulary and chat templates are, and what they say of special tokens. It does
// not read the vocabulary.
type TokenizerSource struct {
	JSONPath       string            // tokenizer.json; "" when there is none
	ConfigPath     string            // tokenizer_config.json; "" when there is none
	GGUF           *gguf.File        // the checkpoint's file, when the vocabulary is inside; ends with the Checkpoint
	ChatTemplate   string            // Jinja source; "" when the model has none
	NamedTemplates map[string]string // further templates by name, such as "tool_use"
	BOSToken       string            // "" when there is none
	EOSToken       string
	AddBOS         *bool // whether every text begins with BOSToken; nil where only tokenizer.json may say so
}

// BOS returns the id that every text begins with, ok = false if there is none. id looks a token's text up, begins is what
// tokenizer.json's own post-processor says, which an add_bos_token beside it overrules.
func (t TokenizerSource) BOS(id func(token string) (int32, bool), begins func() (int32, bool)) (bos int32, ok bool) {
	switch {
	case t.AddBOS == nil:
		return begins()
	case !*t.AddBOS || t.BOSToken == "":
		return 0, false
	}
	return id(t.BOSToken)
}

// OpenTemplate reads the chat templates and special tokens of the checkpoint at path, a folder, a file in one or a GGUF file,
// without looking at weights. JSONPath and GGUF may be unset in the result.
func OpenTemplate(path string) (TokenizerSource, error) {
	file, err := GGUFPath(path)
	if err != nil {
		return TokenizerSource{}, err
	}
	if file == "" {
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			path = filepath.Dir(path)
		}
		return folderTokenizer(path)
	}
	f, err := gguf.Open(file)
	if err != nil {
		return TokenizerSource{}, fmt.Errorf("model: %w", err)
	}
	t := ggufTokenizer(f)
	t.GGUF = nil
	return t, f.Close()
}

// GGUFPath returns the GGUF file that Open opens for path: path itself or the only one in a folder; "" when Open looks for
// safetensors. A path that is not there is an error.
func GGUFPath(path string) (string, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return "", fmt.Errorf("model: %w", err)
	case info.IsDir():
		return onlyGGUF(path), nil
	case strings.HasSuffix(strings.ToLower(path), ".gguf"):
		return path, nil
	}
	return "", nil
}

// onlyGGUF returns the single GGUF file of a folder without a config.json, "" otherwise.
func onlyGGUF(dir string) string {
	if _, err := os.Stat(filepath.Join(dir, "config.json")); err == nil {
		return ""
	}
	files, err := filepath.Glob(filepath.Join(globEscape(dir), "*.gguf"))
	if err != nil || len(files) != 1 {
		return ""
	}
	return files[0]
}

// globEscape makes a folder's name stand for itself in a pattern.
func globEscape(dir string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}

// folderTokenizer reads the files beside the weights: tokenizer_config.json with its chat_template (one, or a list of named
// ones), chat_template.jinja and additional_chat_templates, which newer tools write instead and which count more, and
// special_tokens_map.json for tokens that the first does not name.
func folderTokenizer(dir string) (TokenizerSource, error) {
	t := TokenizerSource{NamedTemplates: map[string]string{}}
	if path := filepath.Join(dir, "tokenizer.json"); isFile(path) {
		t.JSONPath = path
	}
	for _, name := range []string{"tokenizer_config.json", "special_tokens_map.json"} {
		path := filepath.Join(dir, name)
		f, err := readFields(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return t, err
		}
		if name == "tokenizer_config.json" {
			t.ConfigPath = path
			t.readTemplates(f)
			if v, _ := f.get("add_bos_token"); v != nil {
				add := f.boolean(false, "add_bos_token")
				t.AddBOS = &add
			}
		}
		if t.BOSToken == "" {
			t.BOSToken = f.token("bos_token")
		}
		if t.EOSToken == "" {
			t.EOSToken = f.token("eos_token")
		}
		if f.err != nil {
			return t, f.err
		}
	}
	return t, t.readTemplateFiles(dir)
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// readTemplates reads chat_template: a string, or a list of {"name", "template"}.
func (t *TokenizerSource) readTemplates(f *fields) {
	v, key := f.get("chat_template")
	if v == nil || json.Unmarshal(v, &t.ChatTemplate) == nil {
		return
	}
	var list []struct{ Name, Template string }
	if err := json.Unmarshal(v, &list); err != nil {
		f.fail(key, "is %s; want a string or a list of named templates", shorten(v))
		return
	}
	for _, item := range list {
		t.named(item.Name, item.Template)
	}
}

func (t *TokenizerSource) named(name, template string) {
	if name == "default" {
		t.ChatTemplate = template
	} else {
		t.NamedTemplates[name] = template
	}
}

func (t *TokenizerSource) readTemplateFiles(dir string) error {
	files, err := filepath.Glob(filepath.Join(globEscape(dir), "additional_chat_templates", "*.jinja"))
	if err != nil {
		return fmt.Errorf("model: %s: %w", dir, err)
	}
	for _, path := range append(files, filepath.Join(dir, "chat_template.jinja")) {
		b, err := readSmall(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		name := strings.TrimSuffix(filepath.Base(path), ".jinja")
		if name == "chat_template" {
			name = "default"
		}
		t.named(name, string(b))
	}
	return nil
}

// token reads a special token: its text, or an object with "content".
func (f *fields) token(key string) string {
	v, _ := f.get(key)
	if v == nil {
		return ""
	}
	var text string
	if json.Unmarshal(v, &text) == nil {
		return text
	}
	return f.object(key).text("", "content")
}

// ggufTokenizer reads the templates and special tokens of a GGUF file.
func ggufTokenizer(f *gguf.File) TokenizerSource {
	t := TokenizerSource{GGUF: f, NamedTemplates: map[string]string{}}
	t.ChatTemplate, _ = f.String("tokenizer.chat_template")
	for _, key := range f.Keys() {
		if name, ok := strings.CutPrefix(key, "tokenizer.chat_template."); ok {
			if template, ok := f.String(key); ok {
				t.named(name, template)
			}
		}
	}
	tokens, _ := f.Strings("tokenizer.ggml.tokens")
	text := func(key string) string {
		id, ok := f.Int(key)
		if !ok || id < 0 || id >= int64(len(tokens)) {
			return ""
		}
		return strings.Clone(tokens[id])
	}
	t.BOSToken, t.EOSToken = text("tokenizer.ggml.bos_token_id"), text("tokenizer.ggml.eos_token_id")
	add, ok := f.Bool("tokenizer.ggml.add_bos_token")
	if !ok {
		add = addsBOS(f)
	}
	t.AddBOS = &add
	return t
}

// addsBOS is what counts where a GGUF file does not say: SentencePiece's, Llama 3's and Falcon3's vocabularies begin with BOS.
// Source: ggml-org/llama.cpp src/llama-vocab.cpp, llama_vocab::impl::load @ c392e50.
func addsBOS(f *gguf.File) bool {
	kind, _ := f.String("tokenizer.ggml.model")
	pre, _ := f.String("tokenizer.ggml.pre")
	return kind == "llama" || kind == "gpt2" && slices.Contains([]string{"llama-bpe", "llama3", "llama-v3", "falcon3"}, pre)
}

// StopIDs returns the ids that end a reply, given the tokenizer: id looks a token's text up, special says whether an id is a
// special token. It takes generation_config.json's eos_token_id, else the configuration's, and adds the tokenizer's own
// end-of-text token. Ids that the tokenizer knows as ordinary text are left out once it names an end of its own: RW-1B's
// configuration says 2, which is "#" in its vocabulary, where the end is <|endoftext|> = 50256.
func (c *Checkpoint) StopIDs(id func(token string) (int32, bool), special func(id int32) bool) []int32 {
	said := c.Generation.EOS
	if len(said) == 0 {
		said = c.Config.EOS
	}
	end, known := int32(0), false
	if c.Tokenizer.EOSToken != "" {
		end, known = id(c.Tokenizer.EOSToken)
	}
	var stops []int32
	for _, s := range said {
		if !known || special(s) {
			stops = append(stops, s)
		}
	}
	if known && !slices.Contains(stops, end) {
		stops = append(stops, end)
	}
	return stops
}
