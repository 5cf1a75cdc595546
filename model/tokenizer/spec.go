package tokenizer

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	// maxTokens bounds a vocabulary; the largest in use are near 260,000.
	maxTokens = 1 << 22
	// maxHoles bounds how far ids may reach beyond the number of tokens: tables are sized by the highest id.
	maxHoles = 1 << 16
	// maxToken bounds the bytes of one token; the longest in use are runs of some hundred spaces or dashes.
	maxToken = 1 << 16
)

// pair is one merge: the tokens left and right become the token left+right. Its index is its rank.
type pair struct {
	left, right string
}

// addedToken is a token that is matched in the text as it stands, before any splitting.
// Source: huggingface/tokenizers src/tokenizer/added_vocabulary.rs @ v0.20.4.
type addedToken struct {
	id         int32
	content    string
	singleWord bool // only where no word character stands beside it
	lstrip     bool // takes the white space before it
	rstrip     bool // takes the white space behind it
	normalized bool // matched after the others, in what they left
	special    bool // a control token: never matched in a user's text, left out when decoding for display
}

// spec is everything that defines a tokenizer, as read from a file and not yet checked.
type spec struct {
	tokens       []string // by id, byte symbols or pieces; "" is a hole
	merges       []pair
	added        []addedToken
	mute         []int32 // ids that decode to nothing
	begin        string  // the token that the file puts in front of a text; "": none
	unk          string  // stands for a symbol that is not in the vocabulary; "" drops it
	fuseUnk      bool
	ignoreMerges bool
	normalizers  []string // Unicode forms, and Replace
	stages       []stage
	pieces       *pieces // nil: a byte-level vocabulary
}

// check verifies all that the library relies on and returns what it needs to know: the tokens that merging can reach, and the
// merges. The other tokens (control tokens, reserved ones) cannot come out of plain text.
func (s *spec) check() (*reach, error) {
	levels := 1
	if s.pieces != nil {
		levels = 0
	}
	if err := checkStages(s.stages, levels); err != nil {
		return nil, err
	}
	for _, form := range s.normalizers {
		if !slices.Contains(unicodeForms, form) && (s.pieces == nil || form != kindReplace) {
			return nil, fmt.Errorf("normalizer %q is not supported (supported: none, %s)", form, strings.Join(unicodeForms, ", "))
		}
	}
	ids, err := s.checkTokens()
	if err != nil {
		return nil, err
	}
	if err := s.checkAdded(ids); err != nil {
		return nil, err
	}
	return s.checkMerges(ids)
}

func (s *spec) checkTokens() (*index, error) {
	if len(s.tokens) > maxTokens {
		return nil, fmt.Errorf("%d tokens, want at most %d", len(s.tokens), maxTokens)
	}
	ids := newIndex(s.tokens)
	for id, token := range s.tokens {
		if token == "" {
			continue
		}
		if err := checkToken(token); err != nil {
			return nil, fmt.Errorf("token %d: %w", id, err)
		}
		if !ids.add(int32(id)) {
			return nil, fmt.Errorf("token %d: %q stands twice", id, token)
		}
	}
	if ids.taken == 0 {
		return nil, errors.New("the vocabulary is empty")
	}
	return ids, nil
}

// checkToken refuses texts that the library cannot hand back.
func checkToken(token string) error {
	switch {
	case len(token) > maxToken:
		return fmt.Errorf("%d bytes, want at most %d", len(token), maxToken)
	case strings.IndexByte(token, 0) >= 0:
		return fmt.Errorf("%.80q holds a NUL byte", token)
	case !utf8.ValidString(token):
		return fmt.Errorf("%.80q is not valid UTF-8", token)
	}
	return nil
}

// checkAdded verifies the added tokens against one another and the vocabulary, and gives each an id of its own.
func (s *spec) checkAdded(ids *index) error {
	if len(s.added) > maxTokens {
		return fmt.Errorf("%d added tokens, want at most %d", len(s.added), maxTokens)
	}
	seen := make(map[string]int32, len(s.added))
	owner := make(map[int32]string, len(s.added))
	for _, a := range s.added {
		if a.content == "" {
			return fmt.Errorf("added token %d: its text is empty", a.id)
		}
		if err := checkToken(a.content); err != nil {
			return fmt.Errorf("added token %d: %w", a.id, err)
		}
		if id, ok := seen[a.content]; ok {
			return fmt.Errorf("added tokens %d and %d: both are %q", id, a.id, a.content)
		}
		if other, ok := owner[a.id]; ok {
			return fmt.Errorf("added tokens %q and %q: both have id %d", other, a.content, a.id)
		}
		if id, ok := ids.find(a.content); ok && id != a.id {
			return fmt.Errorf("added token %q: id %d, but the vocabulary gives it %d", a.content, a.id, id)
		}
		if int(a.id) < len(s.tokens) && s.tokens[a.id] != "" && s.tokens[a.id] != a.content {
			return fmt.Errorf("added token %q: id %d belongs to %q", a.content, a.id, s.tokens[a.id])
		}
		if a.normalized && s.pieces == nil && len(s.normalizers) > 0 && !isASCII(a.content) {
			return fmt.Errorf("added token %q: matching it after %s is not supported", a.content, strings.Join(s.normalizers, ", "))
		}
		seen[a.content], owner[a.id] = a.id, a.content
	}
	return nil
}

// checkMerges verifies that every merge joins known tokens into a known one, and marks which tokens plain text can become.
func (s *spec) checkMerges(ids *index) (*reach, error) {
	reachable := make([]bool, len(s.tokens))
	r := &reach{tokens: reachable, merges: make([]merge, len(s.merges)), unk: -1}
	missing := s.markCharacters(ids, reachable)
	if id, ok := ids.find(s.unk); ok {
		reachable[id] = true
		r.unk = id
	} else if s.unk != "" && missing != "" {
		return nil, fmt.Errorf("unk_token %q is not in the vocabulary, nor is %q that would need it", s.unk, missing)
	} else {
		s.unk = "" // every byte has a token: nothing is unknown
	}
	var joined []byte
	for rank, m := range s.merges {
		joined = append(append(joined[:0], m.left...), m.right...)
		left, okLeft := ids.find(m.left)
		right, okRight := ids.find(m.right)
		whole, okWhole := ids.find(string(joined))
		if !okLeft || !okRight || !okWhole {
			return nil, fmt.Errorf("merge %d: %q + %q: %q is not in the vocabulary", rank, m.left, m.right,
				firstMissing(okLeft, m.left, okRight, m.right, string(joined)))
		}
		reachable[left], reachable[right], reachable[whole] = true, true, true
		r.merges[rank] = merge{left, right, whole}
	}
	if s.ignoreMerges {
		s.reachWhole(reachable)
	}
	return r, nil
}

// markCharacters marks the tokens that single characters, and bytes, become before any merge. It returns a byte's token
// that is not in the vocabulary, if there is one.
func (s *spec) markCharacters(ids *index, reachable []bool) (missing string) {
	bytes := symbols[:]
	if s.pieces != nil {
		for id, token := range s.tokens {
			if _, size := utf8.DecodeRuneInString(token); token != "" && size == len(token) {
				reachable[id] = true
			}
		}
		for _, a := range s.added {
			if a.special && int(a.id) < len(reachable) {
				reachable[a.id] = false // a character that is also a control token does not become it
			}
		}
		for _, id := range s.mute {
			reachable[id] = false
		}
		if !s.pieces.fallback {
			return "any character"
		}
		bytes = byteTokens[:]
	}
	for _, token := range bytes {
		if id, ok := ids.find(token); ok {
			reachable[id] = true
		} else {
			missing = token
		}
	}
	return missing
}

// reachWhole marks the tokens that a piece can become as a whole where merges are ignored: all but the added ones.
func (s *spec) reachWhole(reachable []bool) {
	own := make(map[int32]bool, len(s.added)+len(s.mute))
	for _, a := range s.added {
		own[a.id] = true
	}
	for _, id := range s.mute {
		own[id] = true
	}
	for id := range s.tokens {
		if !own[int32(id)] {
			reachable[id] = true
		}
	}
}

func firstMissing(okLeft bool, left string, okRight bool, right, whole string) string {
	switch {
	case !okLeft:
		return left
	case !okRight:
		return right
	}
	return whole
}

// appendHead writes the tokenizer.json that the library reads up to the vocabulary: the pre-tokenizer; no added tokens, no
// post-processor, no truncation, no padding.
func (s *spec) appendHead(dst []byte) []byte {
	dst = append(dst, `{"version":"1.0","added_tokens":[],"normalizer":{"type":"Sequence","normalizers":[`...)
	dst = append(dst, `{"type":"Replace","pattern":{"String":"`+nulStandIn+`"},"content":"\u0000"}`...)
	for _, form := range s.normalizers {
		dst = append(dst, `,{"type":"`+form+`"`...)
		if form == kindReplace {
			dst = append(dst, `,"pattern":{"String":" "},"content":"`+blank+`"`...)
		}
		dst = append(dst, '}')
	}
	dst = append(dst, `]},"pre_tokenizer":{"type":"Sequence","pretokenizers":[`...)
	for i, one := range s.stages {
		dst = separate(dst, i)
		dst = one.appendJSON(dst)
	}
	dst = append(dst, `]},"model":{"type":"BPE","fuse_unk":`...)
	dst = strconv.AppendBool(dst, s.fuseUnk)
	dst = append(dst, `,"ignore_merges":`...)
	dst = strconv.AppendBool(dst, s.ignoreMerges)
	dst = append(dst, `,"byte_fallback":`...)
	dst = strconv.AppendBool(dst, s.pieces != nil && s.pieces.fallback)
	if s.unk != "" {
		dst = append(dst, `,"unk_token":`...)
		dst = appendJSONString(dst, s.unk)
	}
	return append(dst, `,"vocab":{`...)
}

// mergesJoinable says whether the merges can be written as "left right", which the library reads faster than ["left",
// "right"]: not if a token holds a space, nor if a line would look like the heading of a merges.txt.
func (s *spec) mergesJoinable() bool {
	for _, m := range s.merges {
		if strings.IndexByte(m.left, ' ') >= 0 || strings.IndexByte(m.right, ' ') >= 0 || strings.HasPrefix(m.left, "#version") {
			return false
		}
	}
	return true
}

func separate(dst []byte, i int) []byte {
	if i > 0 {
		dst = append(dst, ',')
	}
	return dst
}

func isASCII(text string) bool {
	for _, c := range []byte(text) {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
