package ui

import "peregrine/ui/cells"

// setCells measures everything anew, because the terminal has said how it does. The reading position stays.
func (m *Model) setCells(method cells.Method) {
	if m.theme.cells == method {
		return
	}
	m.transcript.hold(&m.theme)
	m.theme.cells = method
	m.composer.changed()
	m.transcript.restyle()
	m.transcript.release(&m.theme)
}
