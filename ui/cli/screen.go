package cli

import (
	"context"
	"os"

	"peregrine/ui"
	"peregrine/ui/clipboard"
)

// screen opens the full-screen chat.
func (s *settings) screen(ctx context.Context, e *session) error {
	return ui.Run(ctx, s.screenOptions(e))
}

// screenOptions returns what the full screen shows and where it keeps things. Without a place for conversations it still chats,
// and says what is missing.
func (s *settings) screenOptions(e *session) ui.Options {
	opt := ui.Options{
		Generator: e, Template: s.file.Template, System: s.file.System, MaxTokens: s.file.MaxNewTokens,
		Open: s.open, Resume: s.resumeSet, Keys: s.file.Keys, Theme: s.file.Theme, Mouse: s.file.Mouse,
		Version: version, Log: s.log, Clipboard: clipboard.New(os.Getenv),
		NoColor: os.Getenv("NO_COLOR") != "", // whatever it is, see no-color.org
	}
	if s.resume != resumeLast {
		opt.Name = s.resume
	}
	store, err := s.store()
	if err != nil {
		opt.Notices = append(opt.Notices, "conversations are not saved: "+err.Error()+". /save FILE.jsonl keeps one")
	} else {
		opt.Store = store
	}
	if kept, err := s.presets(); err == nil {
		opt.Presets = kept
	} else {
		s.log.Info("presets are not kept", "error", err)
	}
	opt.Exchange = exchanger{store}
	return opt
}
