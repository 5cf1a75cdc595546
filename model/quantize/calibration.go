package quantize

import (
	_ "embed" // the calibration text
	"fmt"
	"math/rand/v2"
	"slices"
)

// CalibrationText is the text that models are calibrated with where the user gives none: English prose, dialogues and notes on
// programs, all of this project's own writing. It has some 22 000 tokens in a vocabulary of 49 152.
//
//go:embed calibration.txt
var CalibrationText string

// Windows cuts a text into sequences of length tokens and returns samples of them, no token twice, drawn with a fixed seed. With
// a bos each begins with it, and then holds one token less of the text. A text that is too short is an error that says how long
// it is.
func Windows(ids []int32, bos *int32, samples, length int) ([][]int32, error) {
	own := length
	if bos != nil {
		own--
	}
	if samples < 1 || own < 1 {
		return nil, fmt.Errorf("quantize: %d sequences of %d tokens; want at least one token of the text", samples, length)
	}
	if len(ids)/own < samples {
		return nil, fmt.Errorf("quantize: the calibration text has %d tokens; %d sequences of %d need %d", len(ids), samples, own, samples*own)
	}
	r := rand.New(rand.NewPCG(0, 0))
	// The remainder is left out in front and behind, at random, so that a window need not begin with the text.
	first := r.IntN(len(ids)%own + 1)
	order := r.Perm(len(ids) / own)[:samples]
	slices.Sort(order)
	windows := make([][]int32, samples)
	for i, at := range order {
		if bos != nil {
			windows[i] = append(windows[i], *bos)
		}
		windows[i] = append(windows[i], ids[first+at*own:][:own]...)
	}
	return windows, nil
}
