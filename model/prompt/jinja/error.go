package jinja

import (
	"errors"
	"fmt"
)

// Error says why a template could not be read or rendered.
type Error struct {
	Line    int    // of the template, 1-based; 0 where none applies
	Message string // Jinja's own words where it has some
	Raised  bool   // by the template itself, through raise_exception
}

func (e *Error) Error() string {
	if e.Line == 0 || e.Raised {
		return e.Message
	}
	return fmt.Sprintf("line %d: %s", e.Line, e.Message)
}

// errf returns an error whose line is filled in by the statement that it passes.
func errf(format string, a ...any) error { return &Error{Message: fmt.Sprintf(format, a...)} }

// located adds a line to an error that has none yet.
func located(err error, line int) error {
	var e *Error
	if errors.As(err, &e) && e.Line == 0 {
		e.Line = line
	}
	return err
}
