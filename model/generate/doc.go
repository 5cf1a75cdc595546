// Package generate is the contract of a reply: what is asked of a decoder and what comes back.
//
// It holds plain types only and imports the standard library alone, so that the screen, the conversation files, the
// decode engine and a remote server can share it without knowing one another. The one mechanism here is [Stream]: the
// decoder never waits for whoever reads it, and nothing is lost, because text piles up until it is taken.
package generate
