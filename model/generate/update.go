package generate

import "time"

// Candidate is one token that could have come next.
type Candidate struct {
	ID   int32  `json:"id"`
	Text string `json:"text"` // the token's own text, with control tokens by name
	// Prob is the probability under the unmodified logits (temperature 1, nothing cut off).
	Prob float64 `json:"prob"`
	// Kept says whether the sampling values of that moment let the token through.
	Kept bool `json:"kept"`
}

// Token is one generated token.
type Token struct {
	ID         int32       `json:"id"`
	Candidates []Candidate `json:"candidates,omitempty"` // most probable first; as many as the request asked for
}

// Phase says what a reply is doing.
type Phase int

// The phases of a reply, in order.
const (
	Waiting  Phase = iota // for the model to load, or for an earlier reply to end
	Prefill               // reading the prompt
	Decoding              // writing the reply
	Done                  // the Update holds the Result
)

// Update is all that happened since the last one.
type Update struct {
	Phase Phase
	// Text is new text of the reply: whole characters, never changed later, stop strings and control tokens left out.
	Text string
	// Tokens are the new tokens. Their text may still be held back; Result.Tokens counts them all.
	Tokens []Token
	// PrefillDone and PrefillTotal count prompt tokens, those found in the KV cache included.
	PrefillDone, PrefillTotal int
	// TokensPerSecond is the decode rate so far; 0 until it is known.
	TokensPerSecond float64
	// Sampling is set where it is news: the values with which the last of Tokens was chosen. Earlier are then the stretches of the
	// reply before that were made with others, as in Result.
	Sampling *Sampling
	Earlier  []Stretch
	// Result is set in the last Update only.
	Result *Result
}

// FinishReason says why a reply ended.
type FinishReason string

// The reasons for which a reply ends.
const (
	FinishStop      FinishReason = "stop"      // an end-of-text token or a stop string
	FinishLength    FinishReason = "length"    // MaxTokens reached; the reply can be continued
	FinishContext   FinishReason = "context"   // the context is full
	FinishCancelled FinishReason = "cancelled" // Stream.Cancel or the request's context
	FinishError     FinishReason = "error"     // Result.Err says what happened
)

// Result closes a reply.
type Result struct {
	Finish FinishReason
	Err    error // only with FinishError
	// Text is the whole reply, equal to all Update.Text together. A reply that can go on (FinishLength, FinishCancelled) ends
	// before a character of which only some bytes came: with its ids as Request.Continue the character comes whole.
	Text     string
	TokenIDs []int32   // all tokens of the reply, an end-of-text token included, Request.Continue excluded
	Sampling Sampling  // in force at the end
	Earlier  []Stretch // of the reply under other values, the first ones first, where they changed while it was made
	Timings  Timings
	Dropped  int // messages left out at the front because the context would not hold them
}

// Stretch is a part of a reply of which all tokens were chosen with the same values.
type Stretch struct {
	Tokens   int      `json:"tokens"`
	Sampling Sampling `json:"sampling"`
}

// Timings are the honest meters of one reply.
type Timings struct {
	PromptTokens     int           `json:"prompt_tokens"`
	CachedTokens     int           `json:"cached_tokens"` // of the prompt, found in the KV cache
	Prefill          time.Duration `json:"prefill_ns"`
	FirstToken       time.Duration `json:"first_token_ns"` // from Start to the first token
	ReplyTokens      int           `json:"reply_tokens"`
	Decode           time.Duration `json:"decode_ns"` // from the first token to the last
	DecodePerSecond  float64       `json:"decode_tokens_per_s"`
	PrefillPerSecond float64       `json:"prefill_tokens_per_s"`
	Drafted          int           `json:"drafted_tokens,omitempty"`  // guessed from what was said before, and verified
	Accepted         int           `json:"accepted_tokens,omitempty"` // of those, as many as were right
}

// Plan says what a request would cost before it is sent.
type Plan struct {
	// Tokens is the size of the prompt that would be sent. When it is not below Limit, even the last turn alone leaves no
	// room for a reply, and the reply would end with ErrPromptTooLong.
	Tokens  int
	Limit   int // the context in tokens
	Dropped int // messages at the front (after a system message) that would be left out
}

// Info describes who answers. While a model loads, Ready is false and Progress tells how far it is.
type Info struct {
	Ready        bool
	Progress     float64 // of loading, 0…1
	Err          error   // why there is no model: loading failed, or an internal error ended it
	Model        string  // short name
	Path         string
	Architecture string // "falcon", "llama"
	Quantization string // "Q4_1", "GPTQ 4 bit, no group, act-order", "BF16"
	Backend      string // "cpu (avx2, 2 threads)"
	BackendWhy   string // why this backend: "no GPU: libcuda.so.1 not found"
	Templates    []string
	Template     string // that a request with Template "" gets
	Context      int    // limit in tokens
	Defaults     Sampling
	MaxTokens    int      // default limit of a reply; 0: none
	Notes        []string // what the user should know about this model, a line each
	Cannot       []string // what this generator cannot do, in words: "candidates", "continue"
}
