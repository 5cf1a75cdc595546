package cli

import (
	"os"
	"strings"

	"peregrine/model/hub"
)

// resumeLast is --resume's value when no name is given; a conversation cannot be asked for by this name.
const resumeLast = "last"

// joinResume lets `--resume NAME` stand for `--resume=NAME`, which is the only form a flag with an optional value knows. A
// word that is a model stays the MODEL argument.
func joinResume(args []string) []string {
	out := make([]string, 0, len(args))
	for i := 0; i < len(args); i++ {
		if args[i] == "--" {
			return append(out, args[i:]...)
		}
		if args[i] == "--resume" && i+1 < len(args) && isName(args[i+1]) {
			out = append(out, "--resume="+args[i+1])
			i++
			continue
		}
		out = append(out, args[i])
	}
	return out
}

func isName(word string) bool {
	if strings.HasPrefix(word, "-") || hub.IsDefault(word) {
		return false
	}
	if _, err := os.Stat(word); err == nil {
		return false
	}
	_, _, err := resolve(word)
	return err != nil || !strings.Contains(word, "/") // a conversation may well be called like a model
}
