package exchange

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"peregrine/history"
)

// Format names what a file holds, as the command line does.
type Format string

// The formats; see the package's table.
const (
	OpenAI      Format = "openai"
	OpenAILines Format = "openai-jsonl"
	ShareGPT    Format = "sharegpt"
	Textgen     Format = "textgen"
	Ollama      Format = "ollama"
	ChatGPT     Format = "chatgpt"
	STS         Format = "sts"
	Markdown    Format = "markdown"
)

// part is a set of things that a conversation may have.
type part uint

const (
	title part = 1 << iota
	system
	times
	models
	settings   // of replies: sampling, token ids, timings
	unfinished // the mark of a reply that was cut off
	everything = 1<<iota - 1
)

// partNames say what is lost without each part.
var partNames = []struct {
	part
	name string
}{
	{title, "the title"},
	{system, "the system prompt"},
	{times, "times"},
	{models, "the models' names"},
	{settings, "sampling values, token ids and timings"},
	{unfinished, "that a reply is unfinished"},
}

// branching says how a format holds more than one branch.
type branching int

const (
	oneBranch  branching = iota
	listed               // each in full, one after the other
	asVersions           // other versions of the turns on the current branch
	asTree
)

// format is how conversations are written in one Format.
type format struct {
	Format
	about    string
	holds    part
	branches branching
	write    func(w io.Writer, s *script) error
}

var formats = []format{
	{OpenAI, "messages of OpenAI's API, as JSON", system, listed, writeOpenAI},
	{OpenAILines, "one conversation a line, for fine-tuning", system, listed, writeOpenAILines},
	{ShareGPT, "training sets of ShareGPT's form", system, listed, writeShareGPT},
	{Textgen, "a chat of text-generation-webui", times | models, asVersions, writeTextgen},
	{Ollama, "a request of Ollama's chat, as its /save writes", system | models, oneBranch, writeOllama},
	{ChatGPT, "conversations.json of a ChatGPT data export", title | system | times | models, asTree, writeChatGPT},
	{STS, "session trace, this program's own form", everything, asTree, writeSTS},
	{Markdown, "a text to read", title | system | times | models, listed, writeMarkdown},
}

// Formats returns the formats that Export writes, in the order of the package's table. Import reads all but Markdown.
func Formats() []Format {
	var names []Format
	for _, f := range formats {
		names = append(names, f.Format)
	}
	return names
}

// About says in a few words what a format is, "" for an unknown one.
func (f Format) About() string {
	i := slices.IndexFunc(formats, func(o format) bool { return o.Format == f })
	if i < 0 {
		return ""
	}
	return formats[i].about
}

func formatOf(name Format) (format, error) {
	i := slices.IndexFunc(formats, func(o format) bool { return o.Format == name })
	if i < 0 {
		var all []string
		for _, f := range formats {
			all = append(all, string(f.Format))
		}
		return format{}, fmt.Errorf("exchange: format %q: want one of %s", name, strings.Join(all, ", "))
	}
	return formats[i], nil
}

// partsOf returns what the given messages and their header have.
func partsOf(h history.Header, messages []history.Message) part {
	var has part
	if h.Name != "" {
		has |= title
	}
	if h.System != "" {
		has |= system
	}
	for _, m := range messages {
		if !m.CreatedAt.IsZero() {
			has |= times
		}
		if m.Model != "" {
			has |= models
		}
		if m.Sampling != nil || m.Timings != nil || len(m.TokenIDs) > 0 {
			has |= settings
		}
		if m.Partial {
			has |= unfinished
		}
	}
	return has
}

// lost names what a format that holds some parts cannot hold, "" when that is nothing.
func lost(has, holds part) string {
	var names []string
	for _, p := range partNames {
		if has&^holds&p.part != 0 {
			names = append(names, p.name)
		}
	}
	return strings.Join(names, "; ")
}
