package ui

// presetCommands are those about named sets of values.
func presetCommands() []command {
	return []command{
		{"preset", "[NAME|save NAME]", "use a preset, save one, or show all", actNone, (*Model).presetCommand, presetValues},
	}
}
