package ui

import (
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"
)

// action is what a key asks for. Its value is its name in config.toml.
type action string

// actNone is no action.
const actNone action = ""

// scope is where a key has its meaning.
type scope int

const (
	inChat scope = iota
	inList       // a list that one chooses from: the palette, the conversations
	inPicker
	inMessage   // a message is chosen
	inInspector // the tokens of a reply
	inPanel
)

// binding is one line of the key table.
type binding struct {
	scope  scope
	action action
	keys   []string // the defaults; none: config.toml may give it some
	help   string
	// run does what a key of the chat asks for. A list finds out itself what its keys mean, so its bindings have none.
	run func(m *Model, key tea.KeyPressMsg) tea.Cmd
}

// keyTable joins the tables of the topics, in the order of the help. None of the chat's default keys is one that the text
// field, tmux, screen or Zellij uses; see the test.
func keyTable() []binding {
	return slices.Concat(draftKeys(), inputKeys(), windowKeys(), scrollKeys(), findKeys(), branchKeys(), samplingKeys(), terminalKeys(),
		listKeys(), pickerKeys(), messageKeys(), inspectorKeys(), panelKeys())
}

// keymap finds actions by key.
type keymap struct {
	bindings []binding
	byKey    map[scope]map[string]action
	distinct bool // the terminal tells shift+enter from enter
}

// newKeymap lays overrides over the defaults and says, a sentence each, what is wrong with them. Where two actions of one
// place claim a key, the override has it.
func newKeymap(overrides map[string][]string) (keymap, []string) {
	k := keymap{bindings: keyTable(), byKey: map[scope]map[string]action{}}
	var problems []string
	known := map[action]bool{}
	for i := range k.bindings {
		b := &k.bindings[i]
		known[b.action] = true
		if keys, ok := overrides[string(b.action)]; ok {
			b.keys = nil
			for _, key := range keys {
				name, err := keyNameIn(b.scope, key)
				if err != nil {
					problems = append(problems, fmt.Sprintf("keys: %s: %v", b.action, err))
					continue
				}
				b.keys = append(b.keys, name)
			}
		}
	}
	for _, name := range sortedKeys(overrides) {
		if !known[action(name)] {
			problems = append(problems, fmt.Sprintf("keys: there is no action %q; /help lists them", name))
		}
	}
	problems = append(problems, k.index(overrides)...)
	return k, problems
}

// index fills byKey, overrides first, and reports keys that two actions claim.
func (k *keymap) index(overrides map[string][]string) []string {
	var problems []string
	for _, overridden := range []bool{true, false} {
		for i := range k.bindings {
			b := &k.bindings[i]
			if _, ok := overrides[string(b.action)]; ok != overridden {
				continue
			}
			var kept []string
			for _, key := range b.keys {
				if owner := k.claim(b.scope, key); owner != actNone && owner != b.action {
					problems = append(problems, fmt.Sprintf("keys: %s is wanted by %s and %s; %s has it", key, owner, b.action, owner))
					continue
				}
				k.put(b.scope, key, b.action)
				kept = append(kept, key)
			}
			b.keys = kept
		}
	}
	return problems
}

// claim returns who has a key already where it would be pressed. A list is shown over the chat and may reuse its keys; the
// keys of the conversations, of a message, of the inspector and of the sampling values are those of a list and a few more.
func (k *keymap) claim(s scope, key string) action {
	scopes := []scope{s}
	switch s {
	case inChat:
	case inList:
		scopes = append(scopes, inPicker, inMessage, inInspector, inPanel)
	default:
		scopes = append(scopes, inList)
	}
	for _, s := range scopes {
		if a := k.byKey[s][key]; a != actNone {
			return a
		}
	}
	return actNone
}

func (k *keymap) put(s scope, key string, a action) {
	if k.byKey[s] == nil {
		k.byKey[s] = map[string]action{}
	}
	k.byKey[s][key] = a
}

// find returns the action of a key in the first of the scopes that has it.
func (k *keymap) find(key tea.KeyPressMsg, scopes ...scope) action {
	name := key.Keystroke()
	for _, s := range scopes {
		if a := k.byKey[s][name]; a != actNone {
			return a
		}
	}
	return actNone
}

// run does what an action of the chat is about.
func (k *keymap) run(a action, m *Model, key tea.KeyPressMsg) tea.Cmd {
	i := slices.IndexFunc(k.bindings, func(b binding) bool { return b.action == a })
	return k.bindings[i].run(m, key)
}

// label returns the first key of an action that this terminal can send, as it is written on keyboards; "" when there is none.
func (k *keymap) label(a action) string {
	labels := k.labels(a)
	if len(labels) == 0 {
		return ""
	}
	return labels[0]
}

// route returns how an action is reached from the chat: its key, behind the one that chooses a message where it is about one.
// It is "" for what can be done in a list alone.
func (k *keymap) route(a action) string {
	label, about := k.label(a), k.label(actSelect)
	i := slices.IndexFunc(k.bindings, func(b binding) bool { return b.action == a })
	switch {
	case i < 0 || label == "":
	case k.bindings[i].scope == inChat:
		return label
	case k.bindings[i].scope == inMessage && about != "":
		return about + " " + label
	}
	return ""
}

// labels returns the keys of an action. Left out are those that this terminal cannot send, and the names that some terminals
// give shifted function keys.
func (k *keymap) labels(a action) []string {
	var labels []string
	for _, b := range k.bindings {
		if b.action != a {
			continue
		}
		for _, key := range b.keys {
			if nameless(key) || !k.distinct && (key == "shift+enter" || key == "ctrl+enter") {
				continue
			}
			labels = append(labels, keyLabel(key))
		}
	}
	return labels
}

// Keys returns the names of all actions that Options.Keys may bind, with their default keys.
func Keys() map[string][]string {
	m := map[string][]string{}
	for _, b := range keyTable() {
		m[string(b.action)] = append([]string{}, b.keys...) // never nil, which a config file has no word for
	}
	return m
}

// KeyProblems says what is wrong with key overrides, one sentence each.
func KeyProblems(overrides map[string][]string) []string {
	_, problems := newKeymap(overrides)
	return problems
}

// modifiers in the order in which Bubble Tea writes them.
var modifiers = []string{"ctrl", "alt", "shift", "meta", "hyper", "super"}

// namedKeys are keys that are not one character.
var namedKeys = []string{
	"enter", "tab", "space", "esc", "backspace", "delete", "insert", "up", "down", "left", "right", "home", "end", "pgup",
	"pgdown",
}

// keyNameIn is keyName where a key has its meaning: a character is one where nothing is typed.
func keyNameIn(s scope, key string) (string, error) {
	if (s == inMessage || s == inInspector) && len([]rune(key)) == 1 && key != "+" {
		return strings.ToLower(key), nil
	}
	return keyName(key)
}

// keyName returns a key as Bubble Tea names it, whatever the case and the order of the modifiers.
func keyName(s string) (string, error) {
	parts := strings.Split(strings.ToLower(strings.TrimSpace(s)), "+")
	key := parts[len(parts)-1]
	if strings.HasSuffix(s, "++") || s == "+" { // the plus key itself
		key, parts = "+", parts[:len(parts)-1]
	}
	switch key {
	case "escape":
		key = "esc"
	case "return":
		key = "enter"
	case "pageup":
		key = "pgup"
	case "pagedown", "pgdn":
		key = "pgdown"
	}
	var function int
	_, err := fmt.Sscanf(key, "f%d", &function)
	isFunction := err == nil && function >= 1 && function <= 63 && key == fmt.Sprintf("f%d", function)
	if len([]rune(key)) != 1 && !isFunction && !slices.Contains(namedKeys, key) {
		return "", fmt.Errorf("%q is no key; write for instance f5, ctrl+j or shift+enter", s)
	}
	var name strings.Builder
	given := parts[:len(parts)-1]
	for _, m := range modifiers {
		if slices.Contains(given, m) {
			name.WriteString(m + "+")
		}
	}
	for _, g := range given {
		if g != "" && !slices.Contains(modifiers, g) {
			return "", fmt.Errorf("%q: there is no modifier %q", s, g)
		}
	}
	if len(given) == 0 && len([]rune(key)) == 1 {
		return "", fmt.Errorf("%q is a character one types; add ctrl or alt", s)
	}
	return name.String() + key, nil
}

// keyLabel writes a key as people do.
func keyLabel(key string) string {
	parts := strings.Split(key, "+")
	for i, p := range parts {
		switch {
		case len(p) > 1 && p[0] == 'f' && p[1] >= '0' && p[1] <= '9':
			parts[i] = strings.ToUpper(p)
		case p == "pgup":
			parts[i] = "PgUp"
		case p == "pgdown":
			parts[i] = "PgDn"
		case p == "esc", p == "home", p == "end", p == "enter", p == "tab", p == "delete":
			parts[i] = strings.ToUpper(p[:1]) + p[1:]
		}
	}
	return strings.Join(parts, "+")
}

func sortedKeys[T any](m map[string]T) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
