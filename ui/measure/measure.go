// Package measure prints what the screen and its conversations cost, for make bench-ui. Benchmarks alone import it.
//
// A measurement is a benchmark that hands its rounds to [Medians]. With -v each quantity is one JSON object on a line of its
// own. Nothing fails because of a number, since times depend on the machine and on what else it does: a goal that was missed
// is said on a line of its own, and a reader judges.
package measure

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Quantity is one number that a benchmark finds.
type Quantity struct {
	Name string // what, which case of it, which number: "token/prose/p95"
	Unit string // "ms", "B/token"; without spaces
	Goal string // "<= 4" or ">= 98"; "" when there is none
}

// line is what is printed of a quantity.
type line struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	Goal  string  `json:"goal"`
}

// Medians calls round as often as -benchtime says (5x: five times) and reports the median of each quantity over the rounds.
// round returns the values in the order of the quantities; they must be finite.
func Medians(b *testing.B, quantities []Quantity, round func() []float64) {
	b.Helper()
	rounds := make([][]float64, len(quantities))
	for b.Loop() {
		values := round()
		if len(values) != len(quantities) {
			b.Fatalf("measure: a round returned %d values for %d quantities", len(values), len(quantities))
		}
		for i, v := range values {
			rounds[i] = append(rounds[i], v)
		}
	}
	for i, q := range quantities {
		value := median(rounds[i])
		b.ReportMetric(value, path.Base(q.Name)+"-"+q.Unit)
		if !testing.Verbose() {
			continue // a benchmark's name and its result would be two lines
		}
		if err := report(os.Stdout, q, value); err != nil {
			b.Fatal(err)
		}
	}
}

// Milliseconds returns d in the unit "ms".
func Milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// Quantile returns the smallest of the values that at least the share p of them do not exceed; 1 is the greatest. It sorts
// values, of which there must be one.
func Quantile[T int | float64 | time.Duration](values []T, p float64) T {
	slices.Sort(values)
	return values[max(int(math.Ceil(p*float64(len(values))))-1, 0)]
}

// median returns the middle of the values, of two middles their mean. It sorts values.
func median(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// report writes one line of JSON, and another if the goal is missed.
func report(w io.Writer, q Quantity, value float64) error {
	value = math.Round(value*1000) / 1000
	met, err := meets(q.Goal, value)
	if err != nil {
		return fmt.Errorf("measure: %s: %w", q.Name, err)
	}
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false) // people read the goals too
	if err := out.Encode(line{q.Name, value, q.Unit, q.Goal}); err != nil {
		return fmt.Errorf("measure: %s: %w", q.Name, err)
	}
	if !met {
		_, err = fmt.Fprintf(w, "missed: %s is %v %s, goal %s\n", q.Name, value, q.Unit, q.Goal)
	}
	return err
}

// meets reports whether a value is what a goal asks for.
func meets(goal string, value float64) (bool, error) {
	if goal == "" {
		return true, nil
	}
	relation, number, _ := strings.Cut(goal, " ")
	limit, err := strconv.ParseFloat(number, 64)
	switch {
	case err == nil && relation == "<=":
		return value <= limit, nil
	case err == nil && relation == ">=":
		return value >= limit, nil
	}
	return false, fmt.Errorf("goal %q: want for instance \"<= 4\" or \">= 98\"", goal)
}
