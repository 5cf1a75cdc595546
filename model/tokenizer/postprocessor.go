package tokenizer

// readPostProcessor reads the value of "post_processor" and returns the special token that it puts in front of a text, or
// begin if it puts none there: a TemplateProcessing by itself or in a Sequence. What stands behind a text is not for a text that
// goes on.
// Source: huggingface/tokenizers src/processors/template.rs @ v0.20.4.
func readPostProcessor(s *scanner, begin string) (string, error) {
	if s.word("null") {
		return begin, nil
	}
	kind, first, nested := "", "", ""
	seen := keys{}
	err := s.object(func(key string) (err error) {
		if err := seen.add(s, key); err != nil {
			return err
		}
		switch key {
		case "type":
			kind, err = s.str()
		case "single":
			first, err = readTemplate(s)
		case "processors":
			err = s.array(func(int) (err error) {
				nested, err = readPostProcessor(s, nested)
				return err
			})
		default:
			err = s.skip()
		}
		return err
	})
	switch {
	case err != nil:
		return "", err
	case kind == kindSequence && nested != "":
		return nested, nil
	case kind == "TemplateProcessing" && first != "":
		return first, nil
	}
	return begin, nil
}

// readTemplate reads [{"SpecialToken": {"id": "<s>"}}, {"Sequence": …}, …] and returns the special token before the text.
func readTemplate(s *scanner) (first string, err error) {
	err = s.array(func(i int) error {
		if i > 0 || s.next() != '{' {
			return s.skip()
		}
		return s.object(func(key string) error {
			if key != "SpecialToken" {
				return s.skip()
			}
			return s.object(func(key string) (err error) {
				if key == "id" {
					first, err = s.str()
					return err
				}
				return s.skip()
			})
		})
	})
	return first, err
}
