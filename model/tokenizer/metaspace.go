package tokenizer

// scheme is where a Metaspace puts a ▁, as its two members for that say, in whatever order they stand.
// Source: huggingface/tokenizers src/pre_tokenizers/metaspace.rs @ v0.20.4.
type scheme struct {
	named string // prepend_scheme: always, first, never, or "" where it is not there
	add   bool   // add_prefix_space is there and true
	deny  bool   // add_prefix_space is there and false
}

// read reads the value of the member key.
func (c *scheme) read(s *scanner, key string) (err error) {
	switch {
	case key != "add_prefix_space":
		if c.named, err = s.str(); err == nil && c.named != "always" && c.named != "first" && c.named != "never" {
			err = s.failf("prepend_scheme %.80q, want always, first or never", c.named)
		}
	case !s.word("null"):
		c.add, err = s.boolean()
		c.deny = !c.add
	}
	return err
}

// prefix says what the members mean together. Files older than prepend_scheme have add_prefix_space alone, which the library no
// longer reads where it is false; beside a prepend_scheme it says nothing, but may not deny what that wants.
func (c scheme) prefix(s *scanner) (prefix, error) {
	switch {
	case c.deny && (c.named == "always" || c.named == "first"):
		return prefixNone, s.failf("Metaspace with add_prefix_space false, but prepend_scheme %q: they contradict each other, want one of both", c.named)
	case c.deny, c.named == "never":
		return prefixNone, nil
	case c.named == "first":
		return prefixFirst, nil
	}
	return prefixMissing, nil
}
