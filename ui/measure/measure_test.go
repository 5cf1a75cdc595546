package measure

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestReport(t *testing.T) {
	for name, c := range map[string]struct {
		quantity Quantity
		value    float64
		want     string
	}{
		"met": {Quantity{"token/prose/p95", "ms", "<= 4"}, 4, `{"name":"token/prose/p95","value":4,"unit":"ms","goal":"<= 4"}` + "\n"},
		"missed": {
			Quantity{"bytes/table", "B/token", "<= 400"},
			400.5,
			`{"name":"bytes/table","value":400.5,"unit":"B/token","goal":"<= 400"}` + "\nmissed: bytes/table is 400.5 B/token, goal <= 400\n",
		},
		"a least value, met":    {Quantity{"speed", "%", ">= 98"}, 98, `{"name":"speed","value":98,"unit":"%","goal":">= 98"}` + "\n"},
		"a least value, missed": {Quantity{"speed", "%", ">= 98"}, 97, `{"name":"speed","value":97,"unit":"%","goal":">= 98"}` + "\nmissed: speed is 97 %, goal >= 98\n"},
		"no goal, rounded":      {Quantity{"open", "ms", ""}, 1.23456, `{"name":"open","value":1.235,"unit":"ms","goal":""}` + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			if err := report(&out, c.quantity, c.value); err != nil || out.String() != c.want {
				t.Errorf("got %q, %v, want %q", out.String(), err, c.want)
			}
		})
	}
}

func TestReportRefusesWhatNobodyCanJudge(t *testing.T) {
	for _, goal := range []string{"4", "< 4", "<=4", "<= four", "<= "} {
		var out strings.Builder
		if err := report(&out, Quantity{"x", "ms", goal}, 1); err == nil || out.Len() > 0 {
			t.Errorf("goal %q: got %q, %v, want an error alone", goal, out.String(), err)
		}
	}
	if err := report(&strings.Builder{}, Quantity{"x", "ms", ""}, math.NaN()); err == nil {
		t.Error("got no error for a value that is no number")
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{{[]float64{7}, 7}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 2, 100}, 3}} {
		if got := median(c.values); got != c.want {
			t.Errorf("%v: got %v, want %v", c.values, got, c.want)
		}
	}
}

func TestQuantile(t *testing.T) {
	var times []time.Duration
	for i := range 100 {
		times = append(times, time.Duration(100-i))
	}
	for p, want := range map[float64]time.Duration{0: 1, 0.5: 50, 0.95: 95, 0.951: 96, 1: 100} {
		if got := Quantile(times, p); got != want {
			t.Errorf("%v: got %v, want %v", p, got, want)
		}
	}
	if got := Milliseconds(1500 * time.Microsecond); got != 1.5 {
		t.Errorf("got %v, want 1.5", got)
	}
}
