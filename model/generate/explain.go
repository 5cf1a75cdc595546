package generate

import (
	"errors"
	"fmt"
)

// Inquiry asks why a token of a reply stands where it does.
type Inquiry struct {
	// Request is what the reply answered, with the sampling values that made it. Its Continue holds the tokens of the reply,
	// all of them; none where they are not known.
	Request Request
	// Text is the reply's text. Where Continue does not spell it (there is nothing, or another model made it) its tokens are
	// those that encode it.
	Text string
	// At is the place in the reply, counted in tokens from 0.
	At int
	// Candidates is how many of the most probable tokens are wanted.
	Candidates int
}

// Validate says what is wrong with q as far as that can be known without a model.
func (q Inquiry) Validate() error {
	switch {
	case q.At < 0:
		return fmt.Errorf("token %d of a reply: want 0 or more", q.At)
	case q.Candidates < 1:
		return fmt.Errorf("candidates %d: want 1 or more", q.Candidates)
	case q.Text == "" && len(q.Request.Continue) == 0:
		return errors.New("the reply is empty; there is no token to explain")
	}
	return q.Request.Validate()
}

// Filter names the sampling value that cut a token off.
type Filter string

// The filters, in the order in which they work.
const (
	FilterNone     Filter = ""
	FilterGreedy   Filter = "temperature" // at 0 all but the best are cut off
	FilterTopK     Filter = "top-k"
	FilterTopP     Filter = "top-p"
	FilterMinP     Filter = "min-p"
	FilterTypicalP Filter = "typical-p"
)

// Choice is a token that could have stood at a place, and what the sampling values made of it.
type Choice struct {
	Candidate
	Chance float64 // of being drawn there: after penalty, temperature and all filters; 0 when it is cut off
	Cut    Filter  // what cut it off; FilterNone for what is kept, and for what has no chance at all
	Rank   int     // by Prob; 1 is the most probable token
	// Piece is what the token adds to the text of the reply at this place; "" for a control token and for a part of a
	// character that more must follow.
	Piece string
	Ends  bool // the token ends the reply
}

// Explanation says how tokens make up a reply, and what could have stood at one place of it.
type Explanation struct {
	IDs []int32 // all tokens of the reply
	// Pieces say what each of them adds to the text: whole characters, a character of several tokens with its last one.
	// Together they begin with the text asked about; a stop string may follow.
	Pieces []string
	// Encoded says that the reply's own tokens are not known: IDs spell its text as the tokenizer would.
	Encoded bool
	At      int // the place
	// Choices are the most probable tokens there, the most probable first, and behind them the one that stands there if it is
	// not among them.
	Choices []Choice
}
