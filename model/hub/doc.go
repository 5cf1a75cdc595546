// Package hub finds models and brings them here: the default model, repositories of a model hub, and what a MODEL argument
// means.
//
// A repository lies in the hub's shared cache, in the layout that huggingface_hub and what builds on it have, so that all of
// them hold one copy:
//
//	models--OWNER--NAME/blobs/HASH              content, named by its git SHA-1 or, for large files, its SHA-256
//	models--OWNER--NAME/refs/REVISION           the commit that a branch or tag pointed to when it was pulled last
//	models--OWNER--NAME/snapshots/COMMIT/PATH   symbolic links to the blobs
//	.locks/models--OWNER--NAME/HASH.lock        held while a blob is downloaded
//
// `make check-hub` proves it with the package itself, in both directions, against package hubtest's hub.
//
// Nothing unverified is ever put where a model is looked for: a file is written beside its final place, hashed, and renamed. A
// download that breaks off keeps its bytes, and a journal of which they are ([journal]), for the next one. A revision is
// written last, so that it never leads to half a model.
//
// What a hub says is not trusted: names, hashes and sizes are checked before they touch the disk, bytes against their hash
// before they have a name, and the token goes to the hub's own host alone. What the environment says is left to the caller.
package hub
