// Package exchange reads conversations that other programs wrote, and writes ours for them.
//
// The one idea: a file is a row of JSON values, and each value says by its own fields what it is. So a format is recognised
// by content, never by a file's name; a JSON array, JSON lines and one single object are the same to every reader; and files
// that mix formats are read too. What the other side has and we have not, or the other way round, is never dropped in
// silence: Import and Export return notes, one sentence each.
//
//	name          shape                                               keeps, beside roles and text
//	openai        {"messages":[{"role","content"}]}, or an array      system prompt; a branch each
//	openai-jsonl  one such object a line (fine-tuning)                system prompt; a branch each
//	sharegpt      [{"conversations":[{"from","value"}]}]              system prompt; a branch each
//	textgen       {"internal":[[user, reply]],"visible","metadata"}   times (minutes), models, versions of turns
//	ollama        {"model","messages":[{"role","content"}]}           system prompt, model; one branch
//	chatgpt       [{"title","mapping":{id:{message,parent}}}]         title, times, models, system prompt, the tree
//	sts           JSON lines "session" and "message"                  everything; our own files are of this kind
//	markdown      text for people, not read back                      title, times, models, system prompt; a branch each
//
// A system message before all others becomes the conversation's system prompt. Ids of messages are given anew, m1, m2 and
// so on, except in our own files; the id of a conversation is drawn from the bytes it was read from, so that the same one
// imported twice is known to be the same.
//
// Texts, titles and names from a file are data: make them harmless before they are displayed. Notes and errors are harmless.
package exchange
