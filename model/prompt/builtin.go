package prompt

import (
	"fmt"
	"strings"
	"unicode"

	"peregrine/model/generate"
	"peregrine/model/prompt/jinja"
)

// builtin is a template written in Go.
type builtin struct {
	name     string
	write    func(w *writer, messages []generate.Message, addGenerationPrompt bool) error
	stops    []string
	specials *specials
}

func (b *builtin) Name() string    { return b.name }
func (b *builtin) Stops() []string { return b.stops }

func (b *builtin) Render(messages []generate.Message, addGenerationPrompt bool) (Text, error) {
	var w writer
	if err := b.write(&w, messages, addGenerationPrompt); err != nil {
		remedy := otherRemedy
		if b.name == Instruction {
			remedy = "correct the conversation"
		}
		return Text{}, refuse(b.name, err, remedy)
	}
	return b.specials.guard(jinja.Text{String: w.text.String(), User: w.spans}), nil
}

// writer collects the template's text and the user's.
type writer struct {
	text  strings.Builder
	spans []jinja.Span
}

func (w *writer) plain(s string) { w.text.WriteString(s) }

func (w *writer) user(s string) {
	if s == "" {
		return
	}
	start := w.text.Len()
	w.text.WriteString(s)
	w.spans = append(w.spans, jinja.Span{Start: start, End: start + len(s)})
}

// unknownRole refuses a message that a template has no form for.
func unknownRole(i int, m generate.Message) error {
	return fmt.Errorf("message %d has the role %q; known are system, user and assistant", i+1, m.Role)
}

// instructionStops end a reply in which the model goes on with the user's turn.
var instructionStops = []string{"\n### Instruction", "### Instruction:", "\n### Response"}

// instruction is the original Falcon card's form; its second turn and system text are ours (see New).
func instruction(w *writer, messages []generate.Message, addGenerationPrompt bool) error {
	for i, m := range messages {
		switch m.Role {
		case generate.System:
			if m.Content != "" {
				w.user(m.Content)
				w.plain("\n\n")
			}
		case generate.User:
			w.plain("### Instruction: ")
			w.user(m.Content)
			w.plain("\n")
		case generate.Assistant:
			w.plain("### Response:")
			if m.Content != "" && !strings.ContainsAny(m.Content[:1], " \t\r\n") {
				w.plain(" ")
			}
			w.user(m.Content)
			w.plain("\n\n")
		default:
			return unknownRole(i, m)
		}
	}
	if addGenerationPrompt {
		w.plain("### Response:")
	}
	return nil
}

// falconStops end a reply in which the model goes on with the next turn: it rarely writes its end token.
var falconStops = []string{"\nUser:", "\nAssistant:"}

// falcon is the form of falcon-7b-instruct: texts without blanks at their ends and without empty lines, roles that alternate.
// No space may follow the last "Assistant:".
func falcon(w *writer, messages []generate.Message, addGenerationPrompt bool) error {
	if len(messages) == 0 {
		return fmt.Errorf("there is no message")
	}
	system := ""
	if messages[0].Role == generate.System {
		system, messages = messages[0].Content, messages[1:]
	}
	for i, m := range messages {
		if (m.Role == generate.User) != (i%2 == 0) {
			return fmt.Errorf("Conversation roles must alternate user/assistant/user/assistant/...") //nolint:staticcheck,revive // the official template's own words
		}
		if i == 0 {
			w.user(strip(system))
		}
		switch m.Role {
		case generate.User:
			w.plain("\n\nUser: ")
		case generate.Assistant:
			w.plain("\n\nAssistant: ")
		default:
			return unknownRole(i, m)
		}
		text := strings.ReplaceAll(strip(m.Content), "\r\n", "\n")
		w.user(strings.ReplaceAll(text, "\n\n", "\n"))
	}
	if addGenerationPrompt {
		w.plain("\n\nAssistant:")
	}
	return nil
}

// strip is Python's str.strip.
func strip(s string) string {
	return strings.TrimFunc(s, func(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f })
}

// chatMLMarkers end a reply of a model to which they are no tokens.
var chatMLMarkers = []string{"<|im_end|>", "<|im_start|>"}

// chatML writes every role alike and adds no system text of its own.
func chatML(w *writer, messages []generate.Message, addGenerationPrompt bool) error {
	for i, m := range messages {
		switch m.Role {
		case generate.System, generate.User, generate.Assistant:
		default:
			return unknownRole(i, m)
		}
		w.plain("<|im_start|>" + string(m.Role) + "\n")
		w.user(m.Content)
		w.plain("<|im_end|>\n")
	}
	if addGenerationPrompt {
		w.plain("<|im_start|>assistant\n")
	}
	return nil
}

// none writes the system text and an empty line, if there is one, and the last text of the user with all that follows it (a
// reply to go on with). A model without any chat training completes that.
func none(w *writer, messages []generate.Message, _ bool) error {
	last := 0
	for i, m := range messages {
		switch m.Role {
		case generate.System:
			if m.Content != "" {
				w.user(m.Content)
				w.plain("\n\n")
			}
		case generate.User:
			last = i
		case generate.Assistant:
		default:
			return unknownRole(i, m)
		}
	}
	if last >= len(messages) {
		return nil
	}
	for _, m := range messages[last:] {
		if m.Role != generate.System {
			w.user(m.Content)
		}
	}
	return nil
}
