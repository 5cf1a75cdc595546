package ui

import (
	"fmt"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
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

// TestEveryColourIsInTheTheme looks for colours in the code of the screen: those of theme.go are the only ones.
func TestEveryColourIsInTheTheme(t *testing.T) {
	colour := regexp.MustCompile(`#[0-9a-fA-F]{6}\b|lipgloss\.Color\("|\\(?:x1b|033|u001b|e)\[[0-9;]*(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])[;m]`)
	theme, others := 0, 0
	for _, pattern := range []string{"*.go", "*/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			found := colour.FindAllString(string(text), -1)
			if file == "theme.go" {
				theme = len(found)
				continue
			}
			others++
			if len(found) > 0 {
				t.Errorf("%s has colours of its own: %q", file, found)
			}
		}
	}
	if theme < 20 || others < 100 {
		t.Errorf("%d colours in theme.go and %d other files: too few to have looked at anything", theme, others)
	}
}

// TestTheLightScreensHaveEveryColour makes sure that a change of any light colour is seen in a golden screen.
func TestTheLightScreensHaveEveryColour(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "*-light.golden"))
	if err != nil || len(files) == 0 {
		t.Fatalf("got %v, %v, want golden screens", files, err)
	}
	var screens strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		screens.Write(text)
	}
	v := reflect.ValueOf(lightColours)
	for i := range v.NumField() {
		r, g, b, _ := lipgloss.Color(v.Field(i).String()).RGBA()
		if pen := fmt.Sprintf("38;2;%d;%d;%d", r>>8, g>>8, b>>8); !strings.Contains(screens.String(), pen) {
			t.Errorf("no light screen shows the colour %s", v.Type().Field(i).Name)
		}
	}
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
