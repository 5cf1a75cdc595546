package ui

import (
	"image/color"
	"math"
	"reflect"
	"testing"

	"charm.land/lipgloss/v2"
)

// luminance is the relative luminance of WCAG 2.
func luminance(c color.Color) float64 {
	r, g, b, _ := c.RGBA()
	linear := func(v uint32) float64 {
		s := float64(v) / 0xffff
		if s <= 0.03928 {
			return s / 12.92
		}
		return math.Pow((s+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(r) + 0.7152*linear(g) + 0.0722*linear(b)
}

func contrast(a, b color.Color) float64 {
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func TestEveryColourHasContrast(t *testing.T) {
	for name, c := range map[string]struct {
		colours     colours
		backgrounds []string
	}{
		"dark":  {darkColours, []string{"#000000", "#1e1e1e", "#282c34", "#002b36"}},
		"light": {lightColours, []string{"#ffffff", "#f5f5f5", "#fdf6e3"}},
	} {
		v := reflect.ValueOf(c.colours)
		for i := range v.NumField() {
			for _, background := range c.backgrounds {
				got := contrast(lipgloss.Color(v.Field(i).String()), lipgloss.Color(background))
				if got < 4.5 {
					t.Errorf("%s: %s %s on %s: contrast %.2f, want 4.5", name, v.Type().Field(i).Name, v.Field(i), background, got)
				}
			}
		}
	}
}
