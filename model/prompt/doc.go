// Package prompt turns the messages of a conversation into the text that a model was trained to continue.
//
// The one idea: what a user wrote never becomes a control token, what a template wrote may. A rendered [Text] therefore
// carries guards, byte offsets inside of which no special token may be recognised: wherever user text spells one, alone or
// together with the template's text around it. System texts, replies and raw texts count as user text.
//
// The templates are:
//
//   - model: the checkpoint's own chat_template, a Jinja template (package jinja renders it within a budget), with the
//     variables that transformers gives it: messages, add_generation_prompt, bos_token, eos_token, tools and documents (both
//     none). A checkpoint with several named templates has them as model:NAME.
//   - instruction: the original Falcon card's "### Instruction: {prompt}\n### Response:", byte for byte; see [New].
//   - falcon: User: and Assistant: turns as falcon-7b-instruct has them.
//   - chatml: <|im_start|>role … <|im_end|>.
//   - none: the last text of the user as it is, behind the system text if there is one.
//   - the path of a file that holds a Jinja template.
//
// A template gets the model's own where there is one, else instruction. Tokens, devices and the end-of-text token are left
// to package engine.
package prompt
