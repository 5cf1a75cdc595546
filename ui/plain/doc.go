// Package plain is the chat without a screen: one answer for a script or a pipe, or a conversation line by line for dumb
// terminals and screen readers.
//
// The one idea: Out carries replies and nothing else that a script could mistake for one; whatever is said about them goes
// to Err. Text goes to Out as it comes. On a terminal, control characters in it are shown as symbols (package escape) and
// never sent; into a pipe or file goes exactly what the model wrote, and a final newline where it has none.
//
// With JSON there is one object a line for each reply, written when it ends (see Reply).
//
// A conversation that is saved is saved as on the screen: every turn at its end, a reply half a second behind while it is
// written, and what was written stays when it is stopped. Flags, signals and where files lie are the caller's business, but
// for SIGPIPE: while Run runs, a closed pipe is an error of writing, not the end of the process, so that the reply so far is
// still saved.
package plain
