package exchange

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"peregrine/history"
	"peregrine/model/generate"
)

const (
	// textgenGreeting stands in the place of the user's text where the character speaks first.
	textgenGreeting = "<|BEGIN-VISIBLE-CHAT|>"
	// textgenTime is the form of times, in the zone of the machine.
	textgenTime = "Jan 02, 2006 15:04"
)

// textgenMeta is what text-generation-webui keeps beside one message.
type textgenMeta struct {
	Timestamp   string           `json:"timestamp,omitempty"`
	Model       string           `json:"model_name,omitempty"`
	Versions    []textgenVersion `json:"versions,omitempty"`
	Current     *int             `json:"current_version_index,omitempty"`
	Attachments json.RawMessage  `json:"attachments,omitempty"`
	Tools       json.RawMessage  `json:"tool_sequence,omitempty"`
}

type textgenVersion struct {
	Content   string `json:"content"`
	Visible   string `json:"visible_content"`
	Timestamp string `json:"timestamp"`
}

// textgen reads a chat. Its texts are those of "internal": the visible ones are HTML.
func (r *reader) textgen(fields map[string]json.RawMessage, source json.RawMessage) found {
	f := found{format: Textgen, source: source, header: history.Header{Name: titleOf(r.name)}}
	var rows [][]json.RawMessage
	texts := fields["internal"]
	if texts == nil {
		texts = fields["data"]
	}
	loose(texts, &rows, &r.notes)
	var meta map[string]json.RawMessage
	loose(orNull(fields["metadata"]), &meta, &r.notes)
	for i, row := range rows {
		for place, role := range []generate.Role{generate.User, generate.Assistant} {
			if place >= len(row) {
				break
			}
			var body string
			loose(orNull(row[place]), &body, &r.notes)
			if role == generate.User && body == textgenGreeting {
				continue
			}
			var m textgenMeta
			loose(orNull(meta[fmt.Sprintf("%s_%d", role, i)]), &m, &r.notes)
			if body == "" && len(m.Versions) == 0 { // nobody spoke
				continue
			}
			r.textgenTurn(&f, history.Message{Role: role, Content: body}, m)
		}
	}
	return f
}

// textgenTurn adds a message and its other versions, in their order, below the message before it.
func (r *reader) textgenTurn(f *found, m history.Message, meta textgenMeta) {
	if has(meta.Attachments) {
		r.notes.add("attachments of a message: left out, since messages here are text")
	}
	if has(meta.Tools) {
		r.notes.add("call of a tool: left out, since there are no tools here")
	}
	m.CreatedAt, m.Model = localTime(meta.Timestamp), meta.Model
	parent, current := f.current, len(meta.Versions)
	if meta.Current != nil && *meta.Current >= 0 && *meta.Current < len(meta.Versions) {
		current = *meta.Current
	}
	add := func(m history.Message) string {
		n := node{id: fmt.Sprint(len(f.nodes)), parent: parent, Message: m}
		f.nodes = append(f.nodes, n)
		return n.id
	}
	for i, v := range meta.Versions {
		version := m
		if i == current {
			f.current = add(version)
			continue
		}
		version.Content, version.CreatedAt, version.Model = v.Content, localTime(v.Timestamp), "" // nobody noted which
		add(version)
	}
	if current == len(meta.Versions) {
		f.current = add(m)
	}
}

func localTime(s string) time.Time {
	t, err := time.ParseInLocation(textgenTime, s, time.Local)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// textgenLog is a chat as it is written.
type textgenLog struct {
	Internal [][2]string            `json:"internal"`
	Visible  [][2]string            `json:"visible"`
	Metadata map[string]textgenMeta `json:"metadata"`
}

func writeTextgen(w io.Writer, s *script) error {
	log := textgenLog{Internal: [][2]string{}, Visible: [][2]string{}, Metadata: map[string]textgenMeta{}}
	written := 0
	for _, m := range s.branches[0] {
		versions := s.versions(m)
		written += len(versions)
		for _, v := range versions {
			if v.ID != m.ID && v.Model != "" {
				s.notes.add("the model's name of another version: left out, since format %s has it for one alone", Textgen)
			}
		}
		switch m.Role {
		case generate.User, generate.Assistant:
			log.add(m, versions)
		default:
			s.notes.add("message of role %s: left out, since format %s has none of it", quote(string(m.Role)), Textgen)
		}
	}
	if n := len(s.messages) - written; s.all && n > 0 {
		s.notes.add("messages below other versions: left out, since format %s keeps versions of single turns (%d of %d)", Textgen, n, len(s.messages))
	}
	if lacksSeconds(s.branches[0]) {
		s.notes.add("seconds of times: left out, since format %s has minutes", Textgen)
	}
	return writeJSON(w, log, "    ")
}

// versions returns the versions of a message that are written, itself included.
func (s *script) versions(m history.Message) []history.Message {
	if !s.all {
		return []history.Message{m}
	}
	var list []history.Message
	for _, id := range s.c.Siblings(m.ID) {
		if v, ok := s.c.Message(id); ok && v.Role == m.Role {
			list = append(list, v)
		}
	}
	return list
}

// add puts a message into the last row, or into a new one where its place is taken.
func (l *textgenLog) add(m history.Message, versions []history.Message) {
	place := 0
	if m.Role == generate.Assistant {
		place = 1
	}
	last := len(l.Internal) - 1
	if place == 0 || last < 0 || l.has("assistant", last) {
		opening := ""
		if place == 1 && last < 0 {
			opening = textgenGreeting
		}
		l.Internal = append(l.Internal, [2]string{opening, ""})
		l.Visible = append(l.Visible, [2]string{})
		last++
	}
	l.Internal[last][place], l.Visible[last][place] = m.Content, escapeHTML(m.Content)
	meta := textgenMeta{Timestamp: minutes(m.CreatedAt), Model: m.Model}
	for i, v := range versions {
		if len(versions) == 1 {
			break
		}
		if v.ID == m.ID {
			meta.Current = &i
		}
		meta.Versions = append(meta.Versions, textgenVersion{v.Content, escapeHTML(v.Content), minutes(v.CreatedAt)})
	}
	l.Metadata[fmt.Sprintf("%s_%d", m.Role, last)] = meta
}

// has reports whether a row has a message of this role.
func (l *textgenLog) has(role string, row int) bool {
	_, ok := l.Metadata[fmt.Sprintf("%s_%d", role, row)]
	return ok
}

// lacksSeconds reports whether a time of the branch is more exact than the format's.
func lacksSeconds(branch []history.Message) bool {
	for _, m := range branch {
		if !m.CreatedAt.Equal(m.CreatedAt.Truncate(time.Minute)) {
			return true
		}
	}
	return false
}

func minutes(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format(textgenTime)
}

// escapeHTML writes text as Python's html.escape does, which made the visible texts.
func escapeHTML(s string) string { return htmlEscapes.Replace(s) }

var htmlEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#x27;")
