package cuda

import "strings"

// during says what was being done when err came up, with the package's name once in front. Errors are one line: of several,
// the first counts (cmp.Or), since what fails while cleaning up is its consequence.
func during(what string, err error) error {
	return &failure{"cuda: " + what + ": " + strings.TrimPrefix(err.Error(), "cuda: "), err}
}

// failure is an error with a text of its own.
type failure struct {
	text string
	err  error
}

func (f *failure) Error() string { return f.text }

func (f *failure) Unwrap() error { return f.err }
