package ui

import (
	"context"
	"log/slog"
	"time"

	"peregrine/history"
	"peregrine/model/generate"
	"peregrine/ui/clipboard"
	"peregrine/ui/preset"
	"peregrine/ui/trade"
)

// Generator answers. The engine in this process fulfils it, as does a remote server.
type Generator interface {
	// Start begins a reply. It must not wait: until the model is loaded the stream does.
	Start(ctx context.Context, r generate.Request) (*generate.Stream, error)
	// Plan says what a request would cost and what would be left out. It may wait for the model.
	Plan(ctx context.Context, r generate.Request) (generate.Plan, error)
	// Info describes who answers. It never waits.
	Info() generate.Info
}

// Store is where conversations lie. history.Store fulfils it.
type Store interface {
	Create(h history.Header) (*history.File, error)
	Open(path string) (*history.File, error)
	OpenID(idOrName string) (*history.File, error)
	Latest() (path string, err error)
	Listing() (*history.Listing, error)
	Recent(n int) []history.Entry
	Search(ctx context.Context, query string) (paths []string, err error)
	Rename(path, name string) error
	Delete(path string) (undo func() error, err error)
	Draft(conversation string) (*history.Draft, history.Text, error)
	NewDraft(conversation string) *history.Draft
	Inputs() ([]history.Text, error)
	AddInput(texts ...history.Text) error
}

// Options are the choices of a chat. Generator is needed, everything else has a useful zero.
type Options struct {
	Generator Generator
	Store     Store           // nil: conversations are not saved
	Presets   preset.Keeper   // nil: only those that are built in
	Exchange  trade.Exchanger // nil: there is no /import and no /export

	Template  string             // "": the model's own
	System    string             // system text of new conversations
	MaxTokens int                // limit of a reply; 0: the generator's
	Sampling  *generate.Sampling // nil: the model's defaults
	Stop      []string           // strings that end a reply

	Open   string // a conversation file to open at the start
	Resume bool   // go on with the conversation written to last …
	Name   string // … or, when it is not "", with the one of this name or id

	Keys    map[string][]string // action → keys, instead of the defaults; see Keys
	Theme   string              // "auto" or "", "light", "dark"
	NoColor bool                // the user wants no colours, wherever it runs
	Mouse   string              // "off" leaves the mouse to the terminal, for its own selection; "" or "on"
	Version string
	// Clipboard takes what is copied; nil: nothing is known but the terminal's own sequence for it.
	Clipboard *clipboard.Clipboard
	Notices   []string // said at the start, for instance what is odd about the config file
	Log       *slog.Logger
	Now       func() time.Time // nil: time.Now
}

// withDefaults fills what may be missing.
func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Clipboard == nil {
		o.Clipboard = new(clipboard.Clipboard)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}
