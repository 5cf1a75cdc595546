package prompt

import (
	"strings"
	"time"

	"peregrine/model/generate"
	"peregrine/model/prompt/jinja"
)

// jinjaTemplate is a Jinja template: the model's own, or a file.
type jinjaTemplate struct {
	name     string
	template *jinja.Template
	bos, eos string
	specials *specials
	stops    []string
	now      func() time.Time
	remedy   string
}

// turnMarkers are strings with which chat templates begin or end a turn. A model to which one is no special token writes it
// out in letters when it goes on with the user's turn: then it ends the reply.
var turnMarkers = []struct{ inTemplate, stop string }{
	{"<|im_end|>", "<|im_end|>"},
	{"<|im_start|>", "<|im_start|>"},
	{"<|user|>", "<|user|>"},
	{"<|system|>", "<|system|>"},
	{"<|assistant|>", "<|assistant|>"},
	{"<|end|>", "<|end|>"},
	{"<|eot_id|>", "<|eot_id|>"},
	{"<|start_header_id|>", "<|start_header_id|>"},
	{"<|end_of_turn|>", "<|end_of_turn|>"},
	{"<end_of_turn>", "<end_of_turn>"},
	{"<start_of_turn>", "<start_of_turn>"},
	{"### Instruction:", "\n### Instruction"},
	{"### Response:", "\n### Response"},
	{"User: ", "\nUser:"},
	{"USER: ", "\nUSER:"},
}

func newJinja(name, source string, src Source, known *specials, remedy string) (Template, error) {
	template, err := jinja.Parse(source)
	if err != nil {
		return nil, refuse(name, err, remedy)
	}
	t := &jinjaTemplate{
		name: name, template: template, bos: src.BOSToken, eos: src.EOSToken, specials: known, now: src.Now, remedy: remedy,
	}
	for _, m := range turnMarkers {
		if strings.Contains(source, m.inTemplate) {
			t.stops = append(t.stops, markers([]string{m.stop}, src.Specials)...)
		}
	}
	return t, nil
}

func (t *jinjaTemplate) Name() string    { return t.name }
func (t *jinjaTemplate) Stops() []string { return t.stops }

// The budget grows with the conversation, so that a long one is not taken for a template that runs away: a template spends
// some hundred steps on a message, some 3 on each byte when it strips and replaces, and some 10 on each character when it
// loops over them.
const (
	stepsPerMessage = 1000
	stepsPerByte    = 16
)

func (t *jinjaTemplate) Render(messages []generate.Message, addGenerationPrompt bool) (Text, error) {
	list := make([]jinja.Value, len(messages))
	steps := jinja.DefaultSteps + stepsPerMessage*len(messages)
	for i, m := range messages {
		list[i] = jinja.Dict(
			jinja.Pair{Key: "role", Value: jinja.Plain(string(m.Role))},
			jinja.Pair{Key: "content", Value: jinja.User(m.Content)},
		)
		steps += stepsPerByte * len(m.Content)
	}
	text, err := t.template.Render(map[string]jinja.Value{
		"messages":              jinja.List(list...),
		"add_generation_prompt": addGenerationPrompt,
		"bos_token":             jinja.Plain(t.bos),
		"eos_token":             jinja.Plain(t.eos),
		"tools":                 nil,
		"documents":             nil,
	}, jinja.Options{Steps: steps, Now: t.now})
	if err != nil {
		return Text{}, refuse(t.name, err, t.remedy)
	}
	return t.specials.guard(text), nil
}
