// Package engine fulfils the contract of package generate with a decoder in this process: it renders and encodes the
// prompt, prefills it, samples token by token, turns ids into text, stops where it should and streams what comes.
//
// One goroutine, started by [New] and ended by [Engine.Close], owns the decoder, the sampler and the KV cache's bookkeeping;
// requests wait for it in a queue. It loads the model first, so that the screen need not wait. Everybody else touches only
// what a mutex guards (the queue, [Engine.Info]) or what does not change after loading ([Engine.Plan] renders and encodes in
// the caller's goroutine, beside a running reply).
//
// The KV cache is reused by comparing ids: of a new prompt, the longest beginning that the cache holds is kept and the rest
// is prefilled. So a second turn, a regenerated reply, an edited message and a branch need no case of their own. A reply is
// compared by its text like everything else in a prompt: where the model spelled a word with other tokens than the tokenizer
// would, the cache is good up to that word. Putting the generated ids back instead would keep more, but then a conversation
// would continue differently after a restart, when those ids are not at hand.
//
// Where the text repeats what stood before, a forward pass takes along what followed there ([lookup]) and verifies several
// tokens at once. Every token is still sampled from the logits of its own place with its own random number, so that drafts
// change none; [speculation] decides from measured costs whether they pay.
//
// What could have stood at a place of a reply is not kept: [Engine.Explain] computes it anew, from the ids before that place
// and by the filters that sampled. It waits in the same queue.
//
// The screen, the files of a model and the device are left to others: the engine sees a [Decoder] and a [Tokenizer].
package engine
