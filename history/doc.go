// Package history keeps conversations: trees of messages, each in an append-only file of its own, and the store they lie in.
//
// The one idea: a file only ever grows by whole lines, so that a crash can cost the line being written and nothing before
// it. Everything else follows. Edits and regenerations are new messages beside the old ones; a rename, a change of branch
// and a deletion are lines; a reply that is being written is a row of small "partial" lines which its final message
// supersedes.
//
// # Format
//
// One JSON object a line, UTF-8, a superset of the Session Trace Simple Format (STS): viewers of that format read the
// session and message lines and skip the others. The lines, told apart by "type":
//
//	session  harness "peregrine", id, name, schema, created_at, model, quantization, template, system, context; the first line
//	message  id, parent_id (null: a root), created_at, message {role, content}; optional: model, raw, sampling, token_ids,
//	         earlier_sampling (a list of {tokens, sampling}, where the values changed), timings, finish_reason. A later line with the same id, parent and role replaces the earlier one
//	partial  the reply so far: id, at (byte offset of text in the content), text; on the first line of a reply also
//	         parent_id, created_at, role, model, raw; token_ids are those since the last line; sampling and earlier_sampling
//	         where they are new
//	name     name
//	header   the session's model, quantization, template, system, context from here on
//	leaf     id: the tip of the branch being read ("" : before the first message)
//	delete   id: this message and all below it are gone
//	restore  id: takes a delete back
//
// Times are RFC 3339 with nanoseconds, UTC. Control characters in a text are JSON escapes: data, never sent anywhere from
// here; whoever displays a text makes it harmless first. Fields and types that this version does not know stay on disk and
// survive a copy.
//
// # Durability
//
// Append returns after fsync. Partial costs no I/O: a timer writes what is new at most half a second later, with fsync. When
// writing fails, the lines stay in memory, the error is returned, and the next call tries again at the byte where the disk
// stopped. On open, a torn last line is cut off; its bytes go to FILE.torn unless they are only a piece of a partial line.
// Lines in the middle that are no JSON stay where they are and are reported in Warnings. A file is repaired and written only
// under its lock, which ends with the process; everyone else reads.
//
// # What is typed
//
// Beside the conversations lie the drafts, a file each in the folder "drafts", and "inputs", a line for each text that was
// typed: see Draft and Store.AddInput. Neither has the name of a conversation, so that no list takes it for one.
//
// Prompts, models and the screen are none of this package's business: token ids are numbers to it.
package history
