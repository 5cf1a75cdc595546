package plain

import (
	"os"

	"github.com/charmbracelet/x/term"
)

// isTerminal reports whether what is written to or read from f meets a person.
func isTerminal(f any) bool {
	file, ok := f.(*os.File)
	return ok && term.IsTerminal(file.Fd())
}
