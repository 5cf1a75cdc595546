package exchange

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peregrine/history"
)

// zone makes the machine's zone the one that textgen's times are read in.
func zone(t *testing.T) {
	t.Helper()
	was := time.Local
	time.Local = time.FixedZone("test", 2*3600)
	t.Cleanup(func() { time.Local = was })
}

func TestFilesOfEachProgram(t *testing.T) {
	zone(t)
	cases := []struct {
		file    string
		formats []Format
		want    []string
		notes   []string
	}{
		{
			"openai.json",
			[]Format{OpenAI},
			[]string{
				"system \"You answer in one sentence.\"\nuser \"Why is the sky blue?\"\n  assistant \"Air scatters blue light more than red.\"\n" +
					"    user \"And this one?\"\n      assistant \"At sunset the blue is scattered away.\" *\n",
				"user \"Zähl auf: 日本語, 👩\\u200d🚀, é\"\n  assistant \"Drei.\\n\\n```go\\nfmt.Println(\\\"<&>\\\")\\n```\" *\n",
			},
			[]string{
				`part of a message of type "image_url": left out, since messages here are text`,
				"call of a tool: left out, since there are no tools here",
				`message of role "tool": left out`,
			},
		},
		{
			"openai.jsonl",
			[]Format{OpenAI},
			[]string{
				"system \"Marv is a chatbot.\"\nuser \"Capital of France?\"\n  assistant \"Paris.\" *\n",
				"user \"Two plus two?\"\n  assistant \"Four.\" *\n",
			},
			[]string{"definitions of tools: left out, since there are no tools here"},
		},
		{
			"sharegpt.json",
			[]Format{ShareGPT},
			[]string{
				"user \"Name a bird.\"\n  assistant \"A kestrel.\"\n    user \"Another?\"\n      assistant \"A merlin.\" *\n",
				"system \"Speak like a pirate.\"\nuser \"Hello\"\n  assistant \"Ahoy!\" *\n",
			},
			[]string{`message of role "function_call": left out`},
		},
		{
			"textgen.json",
			[]Format{Textgen},
			[]string{
				"title \"textgen\"\n" +
					"assistant \"Welcome, traveller.\" at 2025-08-21T12:02:00Z\n" +
					"  user \"Is 3 < 5 & 5 > 3?\" at 2025-08-21T12:03:00Z\n" +
					"    assistant \"Certainly it is.\" at 2025-08-21T12:03:00Z\n" +
					"    assistant \"Yes, both.\" by falcon-7b-instruct at 2025-08-21T12:04:00Z\n" +
					"      user \"Say it shorter.\" at 2025-08-21T12:06:00Z\n" +
					"        assistant \"Yes.\" by falcon-7b-instruct at 2025-08-21T12:06:00Z *\n" +
					"    assistant \"I think so.\" at 2025-08-21T12:05:00Z\n",
			},
			[]string{"attachments of a message: left out, since messages here are text"},
		},
		{"textgen-old.json", []Format{Textgen}, []string{"title \"textgen-old\"\nuser \"Hi\"\n  assistant \"Hello there\" *\n"}, nil},
		{
			"ollama.json",
			[]Format{Ollama},
			[]string{"system \"Be kind.\"\nuser \"What is in the picture?\"\n  assistant \"A cat.\" by llama3.2:3b *\n"},
			[]string{
				"options of a request: left out, since settings belong to each reply here",
				"images of a message: left out, since messages here are text",
				"a reply's thoughts: left out",
			},
		},
		{
			"chatgpt.json",
			[]Format{ChatGPT},
			[]string{
				"title \"Würfel & dice\"\n" +
					"user \"Roll a die.\" at 2023-11-14T22:13:30.5Z\n" +
					"  assistant \"Six.\" by gpt-4 at 2023-11-14T22:13:40.125Z\n" +
					"    user \"Again 🎲\" at 2023-11-14T22:14:00Z\n" +
					"      assistant \"One.\" by gpt-4 at 2023-11-14T22:14:10Z *\n" +
					"  assistant \"Five.\" by gpt-4o at 2023-11-14T22:13:50.25Z\n",
				"title \"Second\"\nuser \"Just this.\" at 2023-11-14T22:30:00Z *\n",
			},
			[]string{
				"custom instructions of a ChatGPT account: left out; --system gives a conversation its own",
				`part of a message of type "image_asset_pointer": left out, since messages here are text`,
				`message of role "tool": left out`,
			},
		},
		{
			"llama.app.jsonl",
			[]Format{STS},
			[]string{
				"title \"Kites\"\nsystem \"Be brief.\"\nuser \"Do kites hover?\" at 2025-07-07T14:53:22Z\n" +
					"  assistant \"Rarely.\" by qwen at 2025-07-07T14:53:23Z *\n  assistant \"Some do.\" by qwen at 2025-07-07T14:53:24Z\n",
				"title \"Plain\"\nuser \"Hello\"\n  assistant \"Hi.\" *\n",
			},
			[]string{"attachments of a message: left out, since messages here are text", "a reply's thoughts: left out"},
		},
	}
	for _, c := range cases {
		t.Run(c.file, func(t *testing.T) {
			var got []string
			s, err := ImportFile(filepath.Join("testdata", c.file), func(c *history.Conversation) error {
				got = append(got, outline(c))
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("conversations: want -, got +\n%s", d)
			}
			if d := cmp.Diff(c.notes, s.Notes, equateNone); d != "" {
				t.Errorf("notes: want -, got +\n%s", d)
			}
			if !slices.Equal(s.Formats, c.formats) {
				t.Errorf("formats: got %v, want %v", s.Formats, c.formats)
			}
		})
	}
}

var equateNone = cmp.Transformer("none", func(s []string) []string { return slices.Clip(append([]string{}, s...)) })

// The same content under any name and in any wrapping is the same conversation.
func TestFormatsAreKnownByContent(t *testing.T) {
	const user, reply = `{"role":"user","content":"Hi"}`, `{"role":"assistant","content":"Ho"}`
	const human, gpt = `{"from":"human","value":"Hi"}`, `{"from":"gpt","value":"Ho"}`
	const want = "user \"Hi\"\n  assistant \"Ho\" *\n"
	for name, data := range map[string]string{
		"one object":                   `{"messages":[` + user + "," + reply + `]}`,
		"array":                        `[{"messages":[` + user + "," + reply + `]}]`,
		"indented":                     "\n {\n\t\"messages\" :\r\n [" + user + ",\n" + reply + "] }\n",
		"byte order mark":              "\ufeff" + `{"messages":[` + user + "," + reply + `]}`,
		"messages alone":               "[" + user + "," + reply + "]",
		"messages, one a line":         user + "\n" + reply + "\n",
		"array of arrays":              "[[" + user + "," + reply + "]]",
		"turns alone":                  "[" + human + "," + gpt + "]",
		"turns, one a line":            human + "\n\n" + gpt,
		"sharegpt in lines":            `{"conversations":[` + human + "," + gpt + "]}\n",
		"trace of one object":          `{"conv":{"id":"x"},"messages":[{"id":"1","parent":null,` + user[1:] + `,{"id":"2","parent":"1",` + reply[1:] + `]}`,
		"trace without a session line": `{"type":"message","message":` + user + "}\n" + `{"type":"message","message":` + reply + "}",
		"trace with CRLF":              `{"type":"session","harness":"h","id":"1"}` + "\r\n" + `{"type":"message","message":` + user + "}\r\n" + `{"type":"message","message":` + reply + "}\r\n",
	} {
		all, s := read(t, "any.bin", []byte(data))
		if len(all) != 1 || outline(all[0]) != want || len(s.Notes) > 0 {
			t.Errorf("%s: got %d conversations, %s, notes %q; want %s", name, len(all), outline(all[0]), s.Notes, want)
		}
	}
}

func TestFilesOfSeveralFormatsAreReadToTheEnd(t *testing.T) {
	data := slices.Concat(file(t, "openai.json"), file(t, "sharegpt.json"), file(t, "ollama.json"), file(t, "chatgpt.json"))
	all, s := read(t, "mixed", data)
	if len(all) != 7 || !slices.Equal(s.Formats, []Format{OpenAI, ShareGPT, Ollama, ChatGPT}) {
		t.Errorf("got %d conversations of %v", len(all), s.Formats)
	}
}

func TestOwnFilesKeepEverything(t *testing.T) {
	want := sample(t)
	data, said := export(t, want, STS, true)
	if len(said) > 0 {
		t.Errorf("left out: %q", said)
	}
	all, _ := read(t, "x.jsonl", append(slices.Clone(data), data...))
	if len(all) != 2 {
		t.Fatalf("got %d conversations, want the two of the file", len(all))
	}
	for _, got := range all {
		if d := cmp.Diff(want.Messages, got.Messages); d != "" || outline(got) != outline(want) {
			t.Errorf("want -, got +\n%s\n%s", d, outline(got))
		}
	}
}

func TestIDComesFromTheBytesAlone(t *testing.T) {
	first, _ := read(t, "a.json", file(t, "chatgpt.json"))
	again, _ := read(t, "elsewhere/b.json", file(t, "chatgpt.json"))
	if first[0].Header.ID != again[0].Header.ID || first[0].Header.ID == first[1].Header.ID || len(first[0].Header.ID) != 16 {
		t.Errorf("ids: got %q and %q, then %q", first[0].Header.ID, first[1].Header.ID, again[0].Header.ID)
	}
}

func TestTitleOfTextgenIsTheFilesName(t *testing.T) {
	for name, want := range map[string]string{
		"logs/instruct/20250821-14-03-22.json": "", "logs/chat/Ann/My first chat.json": "My first chat",
	} {
		all, _ := read(t, name, file(t, "textgen-old.json"))
		if got := all[0].Header.Name; got != want {
			t.Errorf("%s: got title %q, want %q", name, got, want)
		}
	}
}

func TestDamageIsNamedByPlace(t *testing.T) {
	whole := strings.TrimSpace(string(file(t, "openai.jsonl")))
	cases := map[string]struct{ data, want string }{
		"empty":              {"", "f.json: it is empty"},
		"blank":              {" \n\t\n", "f.json: it is empty"},
		"UTF-16":             {"\xff\xfe{\x00", "f.json: the text is UTF-16; save it as UTF-8"},
		"no JSON":            {"Dear diary", "line 1, byte 1: this is no JSON"},
		"cut off":            {whole + "\n" + `{"messages":[{"role":"us`, "line 3, byte 25: the file ends in the middle of a value; fetch or export it again; the 2 conversations before it were read"},
		"cut off in a list":  {`[{"messages":[{"role":"user","content":"x"}]},`, "byte 47: the file ends in the middle of a value; fetch or export it again; the 1 conversations"},
		"broken in a list":   {"[\n{\"messages\":[]},\n{\"messages\": oops}]", "line 3, byte 14: this is no JSON: invalid character 'o'"},
		"broken line":        {whole + "\nnot JSON\n", "line 3, byte "},
		"nothing known":      {`{"a":1}`, "no conversation in it; these are read: openai, openai-jsonl, sharegpt, textgen, ollama, chatgpt, sts (an object of no known form: left out)"},
		"no object":          {`[1, "x", null]`, "no conversation in it"},
		"no messages":        {`{"messages":[]}`, "(a conversation without messages: left out)"},
		"own, but no turn":   {`{"type":"session","harness":"peregrine","id":"x","schema":1}`, "(a conversation without messages: left out)"},
		"nested without end": {strings.Repeat("[", 1_000_000), "exceeded max depth"},
	}
	for name, c := range cases {
		_, err := Import("f.json", []byte(c.data), func(*history.Conversation) error { return nil })
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "f.json: ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want one line with %q", name, err, c.want)
		}
	}
}

func TestFilesThatCannotBeReadAreRefused(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Join(dir, "missing"), os.DevNull} {
		if _, err := ImportFile(path, nil); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, want an error that names it", path, err)
		}
	}
}

func TestErrorOfTheCallerEndsTheImport(t *testing.T) {
	full := errors.New("disk full")
	s, err := Import("f", file(t, "openai.json"), func(*history.Conversation) error { return full })
	if !errors.Is(err, full) || s.Conversations != 0 {
		t.Errorf("got %v after %d conversations", err, s.Conversations)
	}
}

// What has the wrong type costs itself, not what stands beside it.
func TestWrongTypesAreNotedAndTheRestIsKept(t *testing.T) {
	for name, data := range map[string]string{
		"role":      `{"messages":[{"role":5,"content":"gone"},{"role":"user","content":"kept"}]}`,
		"message":   `{"messages":[17,{"role":"user","content":"kept"}]}`,
		"model":     `{"model":[],"messages":[{"role":"user","content":"kept"}]}`,
		"content":   `{"messages":[{"role":"user","content":[{"type":"text","text":"kept"},7]}]}`,
		"value":     `{"conversations":[{"from":[],"value":"x"},{"from":"human","value":"kept"}]}`,
		"cell":      `{"internal":[["kept",5]],"visible":[]}`,
		"meta":      `{"internal":[["kept",""]],"visible":[],"metadata":{"user_0":{"versions":7}}}`,
		"title":     `{"title":{},"mapping":{"a":{"message":{"author":{"role":"user"},"content":{"parts":["kept"]}}}}}`,
		"time":      `{"title":"t","mapping":{"a":{"parent":3,"message":{"author":{"role":"user"},"create_time":"noon","content":{"parts":["kept"]}}}}}`,
		"trace":     `{"type":"session","harness":"h","id":3,"name":7}` + "\nnot json\n" + `{"type":"message","message":{"role":"user","content":"kept"}}`,
		"bad index": `{"internal":[["kept",""]],"visible":[],"metadata":{"user_0":{"versions":[{"content":"old"}],"current_version_index":1e30}}}`,
	} {
		all, s := read(t, "f", []byte(data))
		if len(all) != 1 || !strings.Contains(outline(all[0]), `user "kept"`) || len(s.Notes) == 0 {
			t.Errorf("%s: got %q with notes %q, want what was kept and a note", name, outline(all[0]), s.Notes)
		}
	}
}

func TestHostileTreesAreReadAsTrees(t *testing.T) {
	const deep = 30_000
	chain := func(role string) string {
		var b strings.Builder
		b.WriteString(`{"mapping":{`)
		for i := range deep {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, `"%d":{"parent":"%d","children":["%d","%d"],"message":{"author":{"role":%q},"content":{"parts":["x"]}}}`, i, i-1, i+1, i-1, role)
		}
		return b.String() + `},"current_node":"5"}`
	}
	node := func(id, parent, children string) string {
		return fmt.Sprintf(`%q:{"parent":%q,"children":[%s],"message":{"author":{"role":"user"},"content":{"parts":[%q]}}}`, id, parent, children, id)
	}
	for name, c := range map[string]struct {
		data     string
		messages int
	}{
		"deep":                 {chain("user"), deep},
		"deep in the system":   {chain("system") + `{"messages":[{"role":"user","content":"x"}]}`, 0},
		"circle":               {`{"mapping":{` + node("a", "b", `"b"`) + "," + node("b", "a", `"a"`) + `}}`, 2},
		"its own parent":       {`{"mapping":{` + node("a", "a", `"a"`) + `}}`, 1},
		"one id twice":         {`{"mapping":{` + node("a", "", "") + "," + node("a", "", "") + "," + node("b", "a", "") + `}}`, 3},
		"missing parent":       {`{"mapping":{` + node("a", "gone", "") + `}}`, 1},
		"child of two":         {`{"mapping":{` + node("a", "", `"c"`) + "," + node("b", "", `"c"`) + "," + node("c", "b", "") + `}}`, 3},
		"version out of reach": {`{"internal":[["a","b"]],"metadata":{"user_0":{"versions":[{"content":"old"}],"current_version_index":-4}}}`, 3},
	} {
		all, _ := read(t, "f", []byte(c.data))
		if got := len(all[0].Messages); got != c.messages {
			t.Errorf("%s: got %d messages, want %d", name, got, c.messages)
		}
		checkTree(t, all[0])
	}
}

func TestHugeLineIsRead(t *testing.T) {
	body := strings.Repeat("\u65e5\u672c\u8a9e ", 1<<20)
	line, err := json.Marshal(map[string]any{"messages": []map[string]string{{"role": "user", "content": body}}})
	if err != nil {
		t.Fatal(err)
	}
	all, _ := read(t, "f", bytes.Repeat(append(line, '\n'), 2))
	if len(all) != 2 || all[1].Messages[0].Content != body {
		t.Errorf("got %d conversations, want two with all of the text", len(all))
	}
}

func TestSystemMessages(t *testing.T) {
	cases := map[string]struct{ data, want, note string }{
		"several at the start": {
			`[{"role":"system","content":"a"},{"role":"developer","content":"b"},{"role":"user","content":"c"}]`,
			"system \"a\\n\\nb\"\nuser \"c\" *\n", "system messages in a row: joined to one",
		},
		"in the middle": {
			`[{"role":"user","content":"a"},{"role":"system","content":"b"},{"role":"user","content":"c"}]`,
			"user \"a\"\n  system \"b\"\n    user \"c\" *\n", "system message among the others: it stays there, which some templates refuse",
		},
		"alone": {`[{"role":"system","content":"a"}]`, "system \"a\"\n", ""},
	}
	for name, c := range cases {
		all, s := read(t, "f", []byte(c.data))
		if got := outline(all[0]); got != c.want || strings.Join(s.Notes, "; ") != c.note {
			t.Errorf("%s: got %q, notes %q; want %q and %q", name, got, s.Notes, c.want, c.note)
		}
	}
}

func TestNotesAreCountedAndBounded(t *testing.T) {
	var turns []string
	for i := range 3 * maxNotes {
		turns = append(turns, fmt.Sprintf(`{"role":"r%d\u001b\u202e%s","content":""}`, i, strings.Repeat("x", 99)))
	}
	turns = append(turns, `{"role":"r0","content":""}`, `{"role":"user","content":"x"}`)
	turns = append([]string{`{"role":"tool","content":""}`, `{"role":"tool","content":""}`}, turns...)
	_, s := read(t, "f", []byte("["+strings.Join(turns, ",")+"]"))
	if len(s.Notes) != maxNotes+1 || s.Notes[0] != `message of role "tool": left out (2 times)` {
		t.Errorf("got %d notes, the first %q", len(s.Notes), s.Notes[0])
	}
	for _, note := range s.Notes {
		if len(note) > 120 || strings.ContainsAny(note, "\x1b\u202e") {
			t.Errorf("long, or not harmless: %q", note)
		}
	}
}
