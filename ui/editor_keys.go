package ui

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// editorKeys are the keys with which one edits: those of readline, where they are not needed for something else.
var editorKeys = map[string]func(*editor){
	"left": (*editor).back, "ctrl+b": (*editor).back,
	"right": (*editor).forward, "ctrl+f": (*editor).forward,
	"alt+left": (*editor).wordBack, "ctrl+left": (*editor).wordBack, "alt+b": (*editor).wordBack,
	"alt+right": (*editor).wordForward, "ctrl+right": (*editor).wordForward, "alt+f": (*editor).wordForward,
	"home": (*editor).lineStart, "ctrl+a": (*editor).lineStart,
	"end": (*editor).lineEnd, "ctrl+e": (*editor).lineEnd,
	"alt+<": (*editor).toStart, "alt+>": (*editor).toEnd,
	"backspace": erasing((*editor).back), "ctrl+h": erasing((*editor).back), "shift+backspace": erasing((*editor).back),
	"delete": erasing((*editor).forward), "ctrl+d": erasing((*editor).forward),
	"alt+backspace": erasing((*editor).wordBack), "ctrl+w": erasing((*editor).wordBack), "ctrl+backspace": erasing((*editor).wordBack),
	"alt+delete": erasing((*editor).wordForward), "alt+d": erasing((*editor).wordForward), "ctrl+delete": erasing((*editor).wordForward),
	"ctrl+u": erasing((*editor).lineStartOrBack), "ctrl+k": erasing((*editor).lineEndOrForward),
	"shift+left": selecting((*editor).back), "shift+right": selecting((*editor).forward),
	"alt+shift+left": selecting((*editor).wordBack), "ctrl+shift+left": selecting((*editor).wordBack),
	"alt+shift+b":     selecting((*editor).wordBack),
	"alt+shift+right": selecting((*editor).wordForward), "ctrl+shift+right": selecting((*editor).wordForward),
	"alt+shift+f": selecting((*editor).wordForward),
	"shift+home":  selecting((*editor).lineStart), "shift+end": selecting((*editor).lineEnd),
	"ctrl+g": (*editor).selectAll,
	"ctrl+t": (*editor).transpose,
	"alt+u":  rewriting(strings.ToUpper), "alt+l": rewriting(strings.ToLower), "alt+c": rewriting(capital),
}

// press does what an editing key is for and reports whether it was one.
func (e *editor) press(key string) bool {
	do, ok := editorKeys[key]
	if !ok {
		return false
	}
	if !strings.Contains(key, "shift+") {
		if lo, hi := e.selection(); lo < hi && erases(key) {
			e.write()
			return true
		}
	}
	e.typing = false
	do(e)
	return true
}

// erases reports whether a key erases what is selected instead of what it erases else.
func erases(key string) bool {
	return strings.HasSuffix(key, "backspace") || strings.HasSuffix(key, "delete") ||
		slices.Contains([]string{"ctrl+h", "ctrl+d", "ctrl+w", "alt+d", "ctrl+u", "ctrl+k"}, key)
}

// erasing makes of a movement the erasure of what it passes.
func erasing(move func(*editor)) func(*editor) {
	return func(e *editor) {
		from := e.cursor
		move(e)
		lo, hi := min(from, e.cursor), max(from, e.cursor)
		e.cursor = from
		e.replace(lo, hi, nil)
	}
}

// selecting makes of a movement the selection of what it passes.
func selecting(move func(*editor)) func(*editor) {
	return func(e *editor) {
		from := e.from
		if from < 0 {
			from = e.cursor
		}
		move(e)
		if e.from = from; e.from == e.cursor {
			e.from = -1
		}
	}
}

// rewriting changes the letters of the word after the cursor.
func rewriting(change func(string) string) func(*editor) {
	return func(e *editor) {
		from := e.cursor
		for e.cursor < len(e.text) && e.text[e.cursor].isSpace() {
			e.cursor++
		}
		lo := e.cursor
		e.wordForward()
		hi := e.cursor
		if slices.ContainsFunc(e.text[lo:hi], func(u unit) bool { return u.paste != nil }) {
			return // a mark is no word
		}
		e.cursor = from
		e.replace(lo, hi, units(change(textOf(e.text[lo:hi])), false))
	}
}

func capital(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + strings.ToLower(s[n:])
}

func (u unit) isSpace() bool {
	r, _ := utf8.DecodeRuneInString(u.text)
	return u.paste == nil && unicode.IsSpace(r)
}

func (e *editor) moveTo(at int) { e.cursor, e.from = min(max(at, 0), len(e.text)), -1 }

func (e *editor) back()    { e.moveTo(e.cursor - 1) }
func (e *editor) forward() { e.moveTo(e.cursor + 1) }
func (e *editor) toStart() { e.moveTo(0) }
func (e *editor) toEnd()   { e.moveTo(len(e.text)) }

func (e *editor) wordBack() {
	at := e.cursor
	for at > 0 && e.text[at-1].isSpace() {
		at--
	}
	for at > 0 && !e.text[at-1].isSpace() {
		at--
	}
	e.moveTo(at)
}

func (e *editor) wordForward() {
	at := e.cursor
	for at < len(e.text) && e.text[at].isSpace() {
		at++
	}
	for at < len(e.text) && !e.text[at].isSpace() {
		at++
	}
	e.moveTo(at)
}

func (e *editor) lineStart() {
	at := e.cursor
	for at > 0 && e.text[at-1].text != "\n" {
		at--
	}
	e.moveTo(at)
}

func (e *editor) lineEnd() {
	at := e.cursor
	for at < len(e.text) && e.text[at].text != "\n" {
		at++
	}
	e.moveTo(at)
}

// lineStartOrBack goes to the start of the line, from there past the line end before it.
func (e *editor) lineStartOrBack() {
	was := e.cursor
	if e.lineStart(); e.cursor == was {
		e.back()
	}
}

// lineEndOrForward goes to the end of the line, from there past it.
func (e *editor) lineEndOrForward() {
	was := e.cursor
	if e.lineEnd(); e.cursor == was {
		e.forward()
	}
}

func (e *editor) selectAll() {
	if len(e.text) > 0 {
		e.cursor, e.from = len(e.text), 0
	}
}

// transpose exchanges the characters on either side of the cursor, at the end of a line the two before it.
func (e *editor) transpose() {
	at := e.cursor
	if at > 0 && (at == len(e.text) || e.text[at].text == "\n") {
		at--
	}
	if at < 1 || at >= len(e.text) || e.text[at-1].text == "\n" {
		return
	}
	swapped := []unit{e.text[at], e.text[at-1]}
	if swapped[0].paste == nil && swapped[1].paste == nil {
		swapped = units(textOf(swapped), false) // an accent may have found its letter
	}
	e.replace(at-1, at+1, swapped)
}
