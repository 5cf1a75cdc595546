// Package ui is the chat on the screen: a Bubble Tea program around a conversation.
//
// There is one Bubble Tea model, [Model]. What it consists of (composer, transcript, session, turn …) are plain structs with
// methods; Update only routes a message to one of them, View only reads. Whatever waits or touches a disk is a command:
// reading the reply's stream, appending to the conversation's file, listing conversations. Two exceptions are allowed in
// Update because they never wait: history's Partial and Set, which only note the reply and the draft so far, and generate's
// Tune and Cancel.
//
// What a key does and what a slash command does are two tables, keys.go and commands.go, joined from one a topic in the files
// that begin with keys_ and commands_; help and palette are printed from them. A message of our own says itself what it does,
// see event in update.go. So a new feature is a file of its own, and a word where the tables are joined.
//
// The conversation is a tree, and on the screen is one branch of it (session.path). To read another version, to edit an earlier
// message, to answer again or from another token is to show another path; see branch.go. Nothing is taken out of the tree but by
// a deletion, which can be taken back.
//
// Everything that a model, a file or a paste says passes package escape before it is displayed. How text becomes lines is
// package markdown's affair, how many cells it takes package cells's: nothing is measured in another way. Whatever else is given
// the terminal for a while (a shell, an editor) gets it by lend, which takes it back as it was. Who answers is a [Generator],
// which may also be a [Switcher] of backends and a [library.Library] of models; where conversations lie is a [Store], where the user's
// values lie are [preset.Keeper]: neither models nor tokens nor file formats are known here.
package ui
