package generate

// Role says who speaks in a message.
type Role string

// The roles that templates know.
const (
	System    Role = "system"
	User      Role = "user"
	Assistant Role = "assistant"
)

// Message is one turn's text as written, without any template.
type Message struct {
	Role    Role   `json:"role"`
	Content string `json:"content"`
}

// Request asks for one reply.
type Request struct {
	// Messages are the turns so far; the reply answers the last one. A system message may come first.
	Messages []Message
	// Raw completes the last message's text without a template.
	Raw bool
	// Template names or holds the template: "" means the model's own, else the instruction template. Names are those of
	// Info.Templates; anything else is the path of a Jinja file.
	Template string
	// Continue holds token ids with which the reply must begin: to go on with a reply that was cut, or to branch from another
	// candidate. The ids are part of the prompt; their text is not sent again.
	Continue []int32
	// MaxTokens limits the new tokens of the reply; 0 means until the model stops or the context ends.
	MaxTokens int
	// Stop holds strings that end the reply, beside those of the template and the model.
	Stop []string
	// Sampling holds the values with which the reply starts; Stream.Tune changes them.
	Sampling Sampling
	// Candidates is how many of the most probable tokens are reported with each token (0: none).
	Candidates int
}

// Sampling holds the values that choose a token from the logits, with the semantics and the order of Hugging Face
// transformers: repetition penalty, temperature, top-k, top-p, min-p, typical-p.
type Sampling struct {
	// Temperature divides the logits. 0 means greedy: the highest logit wins, the lowest id among equals.
	Temperature float64 `json:"temperature"`
	// TopK keeps the k highest logits, ties at the border included; 0 keeps all.
	TopK int `json:"top_k"`
	// TopP keeps the smallest set of most probable tokens with at least this mass; 0 or 1 keeps all.
	TopP float64 `json:"top_p,omitempty"`
	// MinP removes tokens less probable than MinP times the most probable one; 0 keeps all.
	MinP float64 `json:"min_p,omitempty"`
	// TypicalP keeps the tokens whose surprise is nearest to the entropy, up to this mass; 0 or 1 keeps all.
	TypicalP float64 `json:"typical_p,omitempty"`
	// RepetitionPenalty divides positive and multiplies negative logits of tokens that already stand in prompt or reply;
	// 0 or 1 changes nothing.
	RepetitionPenalty float64 `json:"repetition_penalty,omitempty"`
	// Seed makes a reply repeatable: same seed, same prompt, same values, same text, as long as the logits are the same bits, which a
	// backend need not give for a prompt of which the cache holds a part. nil draws a new one; the Result names it.
	Seed *uint64 `json:"seed,omitempty"`
}
