package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"peregrine/model/generate"
	"peregrine/model/prompt"
)

// Of the context, some is kept free for the reply when it is decided whether older turns must go.
const (
	replyReserve     = 256 // tokens, where the request sets no smaller limit
	replyReserveFrac = 4   // but not more than this part of the context
)

// prompts turns requests into ids that fit the context. It may be used by several goroutines at once.
type prompts struct {
	source   prompt.Source
	tokens   Tokenizer
	bos      *int32
	stops    []string // of the model
	names    []string // of the templates
	standard string   // the template that "" means
	context  int      // tokens
	longest  int      // bytes of the longest token

	mu        sync.Mutex
	templates map[string]prompt.Template // by name, those used so far; a file is read once
}

func newPrompts(m *Model) *prompts {
	p := &prompts{
		source: m.Templates, tokens: m.Tokenizer, bos: m.BOS, stops: m.Stops, context: m.Decoder.Context(),
		names: prompt.Names(m.Templates), standard: prompt.Default(m.Templates), longest: 1,
		templates: map[string]prompt.Template{},
	}
	for id := range int32(m.Tokenizer.Size()) {
		p.longest = max(p.longest, len(m.Tokenizer.Bytes(id)))
		if m.Tokenizer.IsSpecial(id) {
			name, _ := m.Tokenizer.Token(id)
			p.longest = max(p.longest, len(name))
		}
	}
	return p
}

// prepared is a prompt that is ready to prefill.
type prepared struct {
	ids     []int32  // Request.Continue included; nil when the prompt does not fit
	size    int      // tokens; a lower bound when it does not fit by far
	dropped int      // messages left out
	stops   []string // of template, model and request
}

// prepare renders and encodes r and leaves out as many of the oldest turns as it must. A prompt of which even the last turn
// does not fit comes back with its size and ErrPromptTooLong.
func (p *prompts) prepare(ctx context.Context, r generate.Request) (prepared, error) {
	if r.Raw {
		return p.raw(r)
	}
	template, err := p.template(r.Template)
	if err != nil {
		return prepared{}, err
	}
	system, cuts := turns(r.Messages)
	encode := func(cut int) (prepared, error) {
		if err := ctx.Err(); err != nil {
			return prepared{}, err
		}
		messages := slices.Concat(r.Messages[:system], r.Messages[cut:])
		text, err := template.Render(messages, true)
		if err != nil {
			return prepared{}, err
		}
		done, err := p.prompt(text, r.Continue)
		done.dropped = cut - system
		return done, err
	}
	best, err := p.newest(cuts, r, encode)
	if err != nil {
		return prepared{}, err
	}
	best.stops = slices.Concat(template.Stops(), p.stops, r.Stop)
	return best, p.check(best)
}

// newest returns the prompt with the fewest turns left out that still leaves room for a reply, else that of the last turn
// alone. A prompt gets shorter with every turn that goes, so that a binary search finds the cut.
func (p *prompts) newest(cuts []int, r generate.Request, encode func(cut int) (prepared, error)) (prepared, error) {
	reserve := replyReserve
	if r.MaxTokens > 0 {
		reserve = min(reserve, r.MaxTokens)
	}
	room := p.context - min(reserve, p.context/replyReserveFrac)
	best, err := encode(cuts[0])
	if err != nil || best.size <= room || len(cuts) == 1 {
		return best, err
	}
	last := len(cuts) - 1
	if best, err = encode(cuts[last]); err != nil {
		return best, err
	}
	for low := 1; low < last; {
		middle := (low + last) / 2
		one, err := encode(cuts[middle])
		switch {
		case err != nil:
			return one, err
		case one.size <= room:
			best, last = one, middle
		default:
			low = middle + 1
		}
	}
	return best, nil
}

// raw encodes the last message's text alone. It has no turns to leave out and no template to stop.
func (p *prompts) raw(r generate.Request) (prepared, error) {
	text := r.Messages[len(r.Messages)-1].Content
	done, err := p.prompt(prompt.Raw(text, p.source.Specials), r.Continue)
	if err != nil {
		return prepared{}, err
	}
	done.stops = slices.Concat(p.stops, r.Stop)
	return done, p.check(done)
}

// prompt returns the ids of a prompt, which has BOS at its beginning where the model wants that, and of what follows it.
func (p *prompts) prompt(text prompt.Text, following []int32) (prepared, error) {
	done, err := p.encode(p.tokens.EncodeGuarded, text, following)
	if err != nil || p.bos == nil || done.ids == nil || p.begins(done.ids[:len(done.ids)-len(following)]) {
		return done, err
	}
	done.ids = slices.Insert(done.ids, 0, *p.bos)
	done.size++
	return done, nil
}

// begins says whether ids begin with BOS, behind white space at most: a template that writes some before bos_token has been
// trained on that.
func (p *prompts) begins(ids []int32) bool {
	var before []byte
	for _, id := range ids {
		if id == *p.bos {
			return true
		}
		text := p.tokens.Bytes(id)
		if before = append(before, text...); len(text) == 0 || len(bytes.TrimSpace(before)) > 0 {
			return false
		}
	}
	return false
}

// encode returns the ids of text, as by says, and of what follows it. A text that cannot fit is not encoded: a file pasted by mistake
// would take seconds and hundreds of megabytes.
func (p *prompts) encode(by func(string, []int) ([]int32, error), text prompt.Text, following []int32) (prepared, error) {
	if least := (len(text.String) + p.longest - 1) / p.longest; least > p.context {
		return prepared{size: least + len(following)}, nil
	}
	ids, err := by(text.String, text.Guards)
	if err != nil {
		return prepared{}, err
	}
	ids = append(slices.Clip(ids), following...)
	return prepared{ids: ids, size: len(ids)}, nil
}

// check refuses a prompt that leaves no room for a single token, and one that is empty.
func (p *prompts) check(done prepared) error {
	switch {
	case done.size >= p.context:
		return fmt.Errorf("engine: %w: %d tokens or more, the context holds %d with the reply; shorten the message or load the model with a larger context",
			generate.ErrPromptTooLong, done.size, p.context)
	case done.size == 0:
		return errors.New("engine: the prompt is empty; there is nothing to answer")
	}
	return nil
}

// template returns the template of that name, made at its first use.
func (p *prompts) template(name string) (prompt.Template, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t, ok := p.templates[name]; ok {
		return t, nil
	}
	t, err := prompt.New(name, p.source)
	if err != nil {
		return nil, err
	}
	p.templates[name] = t
	return t, nil
}

// continues says whether the reply to r is more of the request's own text, not a text that begins after it.
func (p *prompts) continues(r generate.Request) bool {
	name := r.Template
	if name == "" {
		name = p.standard
	}
	return r.Raw || name == prompt.None
}

// plan says what prepare would do. A prompt that is too long is no error here.
func (p *prompts) plan(ctx context.Context, r generate.Request) (generate.Plan, error) {
	done, err := p.prepare(ctx, r)
	if err != nil && !errors.Is(err, generate.ErrPromptTooLong) {
		return generate.Plan{}, err
	}
	return generate.Plan{Tokens: done.size, Limit: p.context, Dropped: done.dropped}, nil
}

// turns returns how many system messages come first and the indices at which a conversation may begin after them: at once,
// or at any later message of the user. The last turn always stays.
func turns(messages []generate.Message) (system int, cuts []int) {
	for system < len(messages)-1 && messages[system].Role == generate.System {
		system++
	}
	cuts = []int{system}
	for i := system + 1; i < len(messages); i++ {
		if messages[i].Role == generate.User {
			cuts = append(cuts, i)
		}
	}
	return system, cuts
}
