package ui

import tea "charm.land/bubbletea/v2"

const (
	actSelect  action = "select"
	actInspect action = "inspect"

	actOlder   action = "version_left"
	actNewer   action = "version_right"
	actRevise  action = "revise"
	actAgain   action = "regenerate"
	actWhy     action = "why"
	actTake    action = "copy_message"
	actPrune   action = "delete_branch"
	actUnprune action = "undo_delete"

	actTokenBack  action = "token_left"
	actTokenOn    action = "token_right"
	actTokenFirst action = "token_first"
	actTokenLast  action = "token_last"
)

// branchKeys are those that lead to the messages and into the words.
func branchKeys() []binding {
	return []binding{
		{inChat, actSelect, []string{"shift+tab", "alt+v"}, "choose a message: versions, edit, answer again, delete", func(m *Model, _ tea.KeyPressMsg) tea.Cmd { return m.selectMessage() }},
		{inChat, actInspect, []string{"alt+w"}, "why this word: look into the last reply", func(m *Model, _ tea.KeyPressMsg) tea.Cmd { return m.whyCommand("") }},
	}
}

// messageKeys are those about the message that is chosen. Nothing is typed there, so they may be letters.
func messageKeys() []binding {
	return []binding{
		{scope: inMessage, action: actOlder, keys: []string{"left"}, help: "the version before this one"},
		{scope: inMessage, action: actNewer, keys: []string{"right"}, help: "the version after it"},
		{scope: inMessage, action: actRevise, keys: []string{"e"}, help: "edit your message; sending makes another version"},
		{scope: inMessage, action: actAgain, keys: []string{"r"}, help: "answer again, as another version"},
		{scope: inMessage, action: actWhy, keys: []string{"w"}, help: "why this word: look into the reply"},
		{scope: inMessage, action: actTake, keys: []string{"y"}, help: "copy it, as Markdown"},
		{scope: inMessage, action: actPrune, keys: []string{"x", "delete"}, help: "delete it and all that follows"},
		{scope: inMessage, action: actUnprune, keys: []string{"u"}, help: "take that back"},
	}
}

// inspectorKeys are those that walk through the tokens of a reply.
func inspectorKeys() []binding {
	return []binding{
		{scope: inInspector, action: actTokenBack, keys: []string{"left"}, help: "the token before"},
		{scope: inInspector, action: actTokenOn, keys: []string{"right"}, help: "the next token"},
		{scope: inInspector, action: actTokenFirst, keys: []string{"home"}, help: "the first token"},
		{scope: inInspector, action: actTokenLast, keys: []string{"end"}, help: "the last token"},
	}
}
