package ui

const (
	actUp       action = "up"
	actDown     action = "down"
	actChoose   action = "choose"
	actComplete action = "complete"
	actClose    action = "close"
	actRename   action = "rename"
	actDelete   action = "delete"
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
	}
}
