// Package hub finds models: the default model, fetched once into the cache and verified, and what a MODEL argument means.
//
// Nothing unverified is ever put where a model is looked for: a file is written beside its final place, hashed, and
// renamed. The hub's own shared cache of repositories is read, never written.
package hub
