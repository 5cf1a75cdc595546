package ui

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
)

// pictureFile is the picture that the README shows.
var pictureFile = filepath.Join("..", ".ci", "screen.svg")

// pictureReply is what the model of the picture says.
const pictureReply = "The **peregrine falcon** is the fastest animal there is: in a *stoop* it reaches about `320 km/h`.\n\n" +
	"1. It climbs high above its prey.\n2. It folds its wings and drops.\n3. It strikes, and catches what falls.\n\n" +
	"```go\n// Speed returns metres per second after t seconds of free fall.\nfunc Speed(t float64) float64 {\n\treturn 9.81 * t\n}\n```\n\n" +
	"| bird | km/h |\n|---|--:|\n| peregrine | 320 |\n| swift | 170 |"

// TestPicture draws the README's picture from a scripted conversation and compares it with the file; -update writes it.
func TestPicture(t *testing.T) {
	const width, height = 92, 25
	gen := newScript("")
	gen.info.Model = "example-model" // none that exists: the numbers are no measurement
	gen.says(pictureReply)
	b := newBench(t, Options{Generator: gen, Store: openStore(t), Theme: "dark"})
	b.send(tea.WindowSizeMsg{Width: width, Height: height})
	b.send(tea.ColorProfileMsg{Profile: colorprofile.TrueColor})
	b.say("What makes a peregrine falcon fast?")
	b.keys("f6", "And how does it see so well?")
	v := b.m.View()
	lines := strings.Split(v.Content, "\n")
	got := svg(v.WindowTitle, lines, width)
	if *update {
		if err := os.WriteFile(pictureFile, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(pictureFile)
	if err != nil {
		t.Fatalf("%v; make picture makes it", err)
	}
	if got != string(want) {
		t.Errorf("the screen differs from %s; make picture draws it anew", pictureFile)
	}
	for d := xml.NewDecoder(strings.NewReader(got)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("the picture is no XML: %v", err)
		}
	}
	readme, err := os.ReadFile(filepath.Join("..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), "(.ci/screen.svg)") {
		t.Error("the README does not show the picture")
	}
}
