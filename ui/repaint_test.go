package ui

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"peregrine/ui/measure"
)

// repaints are sequences that begin a screen anew: erasing it, changing to the other one, resetting the terminal.
var repaints = regexp.MustCompile(`\x1b\[[23]J|\x1b\[(?:1;1)?H\x1b\[0?J|\x1b\[\?1049[hl]|\x1bc`)

// TestATokenIsFewBytes follows replies of every shape: a token costs at most 400 bytes in the median, and no frame draws the
// screen anew, the one that ends the reply included.
func TestATokenIsFewBytes(t *testing.T) {
	for _, shape := range replyShapes {
		t.Run(shape.name, func(t *testing.T) {
			t.Parallel() // it waits most of the time
			sent, said, screen := bytesOfTokens(t, replyOf(shape.line, 560), 4*500)
			if again := repaints.FindString(said); again != "" {
				t.Errorf("the screen was drawn anew: %q", again)
			}
			if median := measure.Quantile(slices.Clone(sent), 0.5); median > 400 || median == 0 {
				t.Errorf("a token is %d bytes in the median, want at most 400", median)
			}
			text := len(strings.Join(strings.Fields(screen), " "))
			if most := slices.Max(sent); most >= text {
				t.Errorf("a token took %d bytes; the screen has %d of text, so it was drawn anew", most, text)
			}
		})
	}
}
