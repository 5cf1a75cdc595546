package prompt

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sort"
	"strings"
	"time"

	"peregrine/model/generate"
	"peregrine/model/prompt/jinja"
)

// Text is a rendered prompt.
type Text struct {
	String string
	// Guards are ascending byte offsets g inside of which no special token may be recognised: one that begins before and ends
	// behind g is plain text. nil if no user text takes part in the spelling of a special token.
	Guards []int
}

// Template turns messages into a prompt. It keeps no state: several goroutines may render at once.
type Template interface {
	// Name is the name under which New returns the template.
	Name() string
	// Render returns the prompt; with addGenerationPrompt it ends where the reply begins. Its errors are ErrTemplate.
	Render(messages []generate.Message, addGenerationPrompt bool) (Text, error)
	// Stops are the strings that end a reply, beside the end-of-text token.
	Stops() []string
}

// ErrTemplate is what every error of this package is: a template that cannot be read or does not accept the conversation.
var ErrTemplate = errors.New("chat template")

// Source is what a checkpoint says about prompts.
type Source struct {
	ChatTemplate string            // the model's Jinja template; "" if it has none
	Named        map[string]string // further templates by name; one called default stands in for an empty ChatTemplate
	BOSToken     string
	EOSToken     string
	// Specials are the texts of the tokenizer's special tokens. nil means that they are not known: then all user text is
	// guarded, character by character.
	Specials []string
	Now      func() time.Time // the clock of strftime_now; nil means time.Now
}

// own returns the model's own template.
func (s Source) own() string {
	if s.ChatTemplate != "" {
		return s.ChatTemplate
	}
	return s.Named["default"]
}

// The names of the templates.
const (
	Model       = "model"
	Instruction = "instruction"
	Falcon      = "falcon"
	ChatML      = "chatml"
	None        = "none"
)

// Names returns the names that New takes, files apart, the model's own first.
func Names(src Source) []string {
	var names []string
	if src.own() != "" {
		names = append(names, Model)
	}
	for name := range src.Named {
		if name != "default" {
			names = append(names, Model+":"+name)
		}
	}
	sort.Strings(names)
	return append(names, Instruction, Falcon, ChatML, None)
}

// Default returns the name that "" stands for: the model's own template if it has one, else instruction.
func Default(src Source) string {
	if src.own() != "" {
		return Model
	}
	return Instruction
}

// New returns the template of that name; "" is the default, what is no name is the path of a file with a Jinja template.
//
// The instruction template writes the system text and an empty line, then for each turn
// "### Instruction: {user}\n### Response:{reply}\n\n", ending with the open "### Response:". The card gives the single turn
// only. A reply keeps its bytes, which usually begin with a space, so that the KV cache of the last turn still fits; one
// from elsewhere that begins with no blank gets a space.
func New(name string, src Source) (Template, error) {
	if name == "" {
		name = Default(src)
	}
	specials := newSpecials(src.Specials)
	switch name {
	case Instruction:
		return &builtin{name: name, write: instruction, stops: instructionStops, specials: specials}, nil
	case Falcon:
		return &builtin{name: name, write: falcon, stops: falconStops, specials: specials}, nil
	case ChatML:
		return &builtin{name: name, write: chatML, stops: markers(chatMLMarkers, src.Specials), specials: specials}, nil
	case None:
		return &builtin{name: name, write: none, specials: specials}, nil
	case Model:
		if src.own() == "" {
			return nil, refuse(name, errors.New("the model has none"), otherRemedy)
		}
		return newJinja(name, src.own(), src, specials, otherRemedy)
	}
	if rest, ok := strings.CutPrefix(name, Model+":"); ok && src.Named[rest] != "" {
		return newJinja(name, src.Named[rest], src, specials, otherRemedy)
	}
	source, err := readFile(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, refuse(name, errors.New("neither the name of a template nor a file"),
			"use one of "+strings.Join(Names(src), ", ")+", or the path of a Jinja file")
	}
	if err != nil {
		return nil, refuse(name, err, otherRemedy)
	}
	return newJinja(name, source, src, specials, "correct the file, or choose another template, for example --template "+Instruction)
}

// Check says what New would refuse about name whatever the model: a name that is none, a file that cannot be read or parsed.
func Check(name string) error {
	if name == "" || name == Model || strings.HasPrefix(name, Model+":") {
		return nil
	}
	_, err := New(name, Source{Named: map[string]string{"default": "any"}})
	return err
}

// Raw returns a text that is to be completed without a template. All of it counts as user text: special tokens that it
// spells stay plain text. specials is as in Source.
func Raw(text string, specials []string) Text {
	return newSpecials(specials).guard(jinja.User(text))
}

// maxFile is the size beyond which a file is no template; package jinja has a lower limit of its own.
const maxFile = 1 << 20

// readFile returns a regular file's text.
func readFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", errors.New("not a regular file")
	}
	if info.Size() > maxFile {
		return "", fmt.Errorf("%d bytes are too many for a template; the limit is %d", info.Size(), maxFile)
	}
	raw, err := io.ReadAll(io.LimitReader(f, maxFile))
	return string(raw), err
}

// otherRemedy is what can be done about a template that is not the user's.
const otherRemedy = "choose another with --template " + Instruction

// templateError is an error of one template.
type templateError struct {
	name, remedy string
	cause        error
}

// maxMessage is how much of a template's own message is shown.
const maxMessage = 500

func (e *templateError) Error() string {
	message := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '␛' // a message may quote user text, and a terminal obeys control characters
		}
		return r
	}, strings.NewReplacer("\n", " ", "\t", " ").Replace(e.cause.Error()))
	if runes := []rune(message); len(runes) > maxMessage {
		message = string(runes[:maxMessage]) + "…"
	}
	return fmt.Sprintf("prompt: template %q: %s; %s", e.name, message, e.remedy)
}

func (e *templateError) Unwrap() []error { return []error{ErrTemplate, e.cause} }

func refuse(name string, cause error, remedy string) error {
	return &templateError{name: name, cause: cause, remedy: remedy}
}

// markers returns those strings that are no special tokens: a model that has them as tokens ends its turn by the token.
func markers(all, specials []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return slices.Contains(specials, s) })
}
