package engine

import "time"

// speculation decides how many drafted tokens a forward pass takes along to be verified. Such a pass costs more than one of a
// single token, and brings more tokens where the draft is right: both are measured as it goes, and the size is chosen that
// promises the most tokens per second. What a reply may lose by it is bounded, as far as costs are known: see affords.
type speculation struct {
	passes [passSizes]passCost
	accept [matchClasses]float64 // how probable it is that the next drafted token is accepted, by the length of the match

	spent   time.Duration // on forward passes of this reply
	balance time.Duration // what drafts have saved in this reply; negative: lost
}

// passCost is what a pass of one size takes.
type passCost struct {
	seen int           // how many there were
	took time.Duration // smoothed; 0: not known
}

// Passes of 1, 2, 4 and 8 tokens are considered: eight is what a device's decode kernels take at once.
const (
	passSizes = 4
	mostDraft = 1<<(passSizes-1) - 1
)

// priorAccept is what accept is before anything is known, for matches of 3, of 4 and 5, of 6 to 9, and of more tokens. These
// are guesses: every reply soon has its own.
var priorAccept = [matchClasses]float64{0.4, 0.5, 0.7, 0.9}

const matchClasses = 4

func matchClass(match int) int {
	switch {
	case match >= 10:
		return 3
	case match >= 6:
		return 2
	case match >= 4:
		return 1
	}
	return 0
}

// begin starts the account of a reply. Costs stay; of acceptance half is forgotten, since another text may be another kind.
func (s *speculation) begin() {
	s.spent, s.balance = 0, 0
	for i, prior := range priorAccept {
		if s.accept[i] == 0 {
			s.accept[i] = prior
		}
		s.accept[i] = (s.accept[i] + prior) / 2
	}
}

// leastGain is how much faster drafting must promise to be.
const leastGain = 1.05

// size returns how many drafted tokens the next pass takes along, at most most of them: 0, 1, 3 or 7.
func (s *speculation) size(match, most int) int {
	one := s.passes[0].took
	if one == 0 {
		return 0 // until it is known what a token costs
	}
	best, bestGain := 0, leastGain
	for size := 1; size < passSizes && 1<<size-1 <= most; size++ {
		cost, known := s.cost(size)
		if !known || !s.affords(cost-one) {
			break
		}
		tokens, p := 1.0, 1.0
		for range 1<<size - 1 {
			p *= s.accept[matchClass(match)]
			tokens += p
		}
		if gain := tokens * float64(one) / float64(cost); gain > bestGain {
			best, bestGain = 1<<size-1, gain
		}
	}
	return best
}

// cost returns what a pass of 1<<size tokens takes, false where nobody can tell. A second token is at first taken to cost a tenth
// of one alone, as on a device that waits for its memory; a size that was not measured is guessed by the one below it. One that was is not
// believed to take longer than its tokens one by one: something else held it up, and it shall be measured again.
func (s *speculation) cost(size int) (took time.Duration, known bool) {
	one := s.passes[0].took
	switch below := s.passes[size-1].took; {
	case s.passes[size].took > 0:
		return min(s.passes[size].took, one<<size), true
	case size == 1:
		return one + one/10, true
	case below > 0:
		return one + max(below-one, 0)*time.Duration(1<<size-1)/time.Duration(1<<(size-1)-1), true
	}
	return 0, false
}

// affords reports whether the reply can bear to lose so much more: in all, the time of one token and a hundredth of what it
// took so far. A reply of a hundred tokens loses at most two of them.
func (s *speculation) affords(loss time.Duration) bool {
	return s.balance-loss >= -(s.passes[0].took + s.spent/100)
}

// done says how a pass went that took drafted tokens along, of which some were accepted.
func (s *speculation) done(drafted, accepted int, took time.Duration) {
	s.spent += took
	if drafted > 0 {
		s.balance += time.Duration(accepted+1)*s.passes[0].took - took
	}
	for size := range passSizes {
		if 1<<size == drafted+1 {
			s.passes[size].add(took)
		}
	}
}

// add counts a pass. The first one of a size is not believed: a device prepares for it. One that took less than was thought counts for
// more than one that took longer: there is much that holds a pass up, such as weights that a backend repacks meanwhile.
func (c *passCost) add(took time.Duration) {
	if c.seen++; c.seen < 2 {
		return
	}
	if c.took == 0 {
		c.took = took
		return
	}
	if took < c.took {
		c.took += (took - c.took) / 2
	} else {
		c.took += (took - c.took) / 8
	}
}

// learn says whether a token was as drafted after a match. That is known of drafts that were not taken along, too.
func (s *speculation) learn(match int, right bool) {
	const window = 16 // tokens over which the probability is averaged
	p := &s.accept[matchClass(match)]
	if right {
		*p += (1 - *p) / window
	} else {
		*p -= *p / window
	}
}
