package ui

const (
	actUp       action = "up"
	actDown     action = "down"
	actChoose   action = "choose"
	actComplete action = "complete"
	actClose    action = "close"
	actRename   action = "rename"
	actDelete   action = "delete"
	actLess     action = "value_down"
	actGreater  action = "value_up"
	actReset    action = "value_reset"
	actUndelete action = "undelete"
)

// listKeys are those of every list. Each list finds out itself what they mean to it.
func listKeys() []binding {
	return []binding{
		{scope: inList, action: actUp, keys: []string{"up"}, help: "one up"},
		{scope: inList, action: actDown, keys: []string{"down"}, help: "one down"},
		{scope: inList, action: actChoose, keys: []string{"enter"}, help: "take it"},
		{scope: inList, action: actComplete, keys: []string{"tab"}, help: "complete the command"},
		{scope: inList, action: actClose, keys: []string{"esc", "ctrl+c"}, help: "close"},
	}
}

// pickerKeys are those that the list of conversations has besides.
func pickerKeys() []binding {
	return []binding{
		{scope: inPicker, action: actRename, keys: []string{"f2"}, help: "rename the conversation"},
		{scope: inPicker, action: actDelete, keys: []string{"delete", "ctrl+x"}, help: "delete it; again takes it back"},
		{scope: inPicker, action: actUndelete, keys: []string{"ctrl+/", "ctrl+_"}, help: "bring back what was deleted last"},
	}
}

// panelKeys are those that the list of sampling values has besides.
func panelKeys() []binding {
	return []binding{
		{scope: inPanel, action: actLess, keys: []string{"left"}, help: "a step down"},
		{scope: inPanel, action: actGreater, keys: []string{"right"}, help: "a step up"},
		{scope: inPanel, action: actReset, keys: []string{"delete", "backspace"}, help: "reset the value"},
	}
}
