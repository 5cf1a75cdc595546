package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"peregrine/model"
	"peregrine/model/generate"
	"peregrine/model/gguf"
	"peregrine/model/prompt"
	"peregrine/model/tokenizer"
)

// newDebug holds the commands that let anyone check this program against another implementation. Their errors end with
// exit code 2, those of out, which is io.out, too; none needs a tokenizer unless it is about one.
func newDebug(s *settings, io streams, out *output) *cobra.Command {
	parent := group("debug", "Compare with another implementation: token ids, prompts, logits, weights")
	parent.AddCommand(
		newDebugTokenize(s, io), newDebugDetokenize(s, io), newDebugRender(s, io),
		newDebugLogits(s, io), newDebugGreedy(s, io), newDebugDequantize(s, io),
	)
	for _, c := range parent.Commands() {
		work := c.RunE
		c.RunE = func(cmd *cobra.Command, args []string) error {
			err := work(cmd, args)
			if err == nil {
				err = out.err
			}
			var exit *exitError
			switch {
			case err == nil || errors.As(err, &exit):
				return err
			case cmd.Context().Err() != nil && errors.Is(err, context.Canceled):
				return err // an interrupt, which is no error of the command
			}
			return &exitError{code: ExitUsage, err: err}
		}
	}
	return parent
}

// tokenizerOf opens the tokenizer of a model without its weights: tokenizer.json, a folder that holds one, or the
// vocabulary of a GGUF file. bos is the id that every text begins with, nil if there is none.
func (s *settings) tokenizerOf(cmd *cobra.Command, args []string, io streams) (t *tokenizer.Tokenizer, bos *int32, err error) {
	path, err := s.resolve(cmd.Context(), args, io)
	if err != nil {
		return nil, nil, err
	}
	if filepath.Base(path) == "tokenizer.json" {
		if t, err = tokenizer.FromFile(path); err != nil {
			return nil, nil, err
		}
		return t, bosOf(model.TokenizerSource{}, t), nil
	}
	file, err := model.GGUFPath(path)
	if err != nil {
		return nil, nil, err
	}
	source, err := model.OpenTemplate(path)
	if err != nil {
		return nil, nil, err
	}
	if file != "" {
		f, err := gguf.Open(file)
		if err != nil {
			return nil, nil, err
		}
		defer func() { _ = f.Close() }() // only read
		source.GGUF = f
	}
	if t, err = openTokenizer(path, source); err != nil {
		return nil, nil, err
	}
	return t, bosOf(source, t), nil
}

func newDebugTokenize(s *settings, io streams) *cobra.Command {
	var special bool
	cmd := &cobra.Command{
		Use:   "tokenize MODEL",
		Short: "Standard input: a JSON array of strings; output: a JSON array of id arrays, nothing added",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var texts []string
			form := `["text", …]`
			if err := decode(io.in, form, &texts); err != nil {
				return err
			}
			if texts == nil {
				return fmt.Errorf("standard input: it is null; want %s", form)
			}
			t, _, err := s.tokenizerOf(cmd, args, io)
			if err != nil {
				return err
			}
			defer func() { _ = t.Close() }()
			out := make([][]int32, len(texts))
			for i, text := range texts {
				if out[i], err = t.Encode(text, special); err != nil {
					return err
				}
				if out[i] == nil {
					out[i] = []int32{}
				}
			}
			return json.NewEncoder(io.out).Encode(out)
		},
	}
	cmd.Flags().BoolVar(&special, "special", false, "recognise special tokens; without it they are plain text")
	return cmd
}

func newDebugDetokenize(s *settings, io streams) *cobra.Command {
	return &cobra.Command{
		Use:   "detokenize MODEL",
		Short: "Standard input: a JSON array of id arrays; output: a JSON array of strings, special tokens included",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var lists [][]int32
			form := "[[1, 2], …]"
			if err := decode(io.in, form, &lists); err != nil {
				return err
			}
			if lists == nil {
				return fmt.Errorf("standard input: it is null; want %s", form)
			}
			t, _, err := s.tokenizerOf(cmd, args, io)
			if err != nil {
				return err
			}
			defer func() { _ = t.Close() }()
			out := make([]string, len(lists))
			for i, ids := range lists {
				for _, id := range ids {
					if _, ok := t.Token(id); !ok {
						return fmt.Errorf("%s: list %d: no token has id %d; ids lie in 0…%d", args[0], i, id, t.Size()-1)
					}
				}
				if out[i], err = t.Decode(ids, false); err != nil {
					return err
				}
			}
			encoder := json.NewEncoder(io.out)
			encoder.SetEscapeHTML(false)
			return encoder.Encode(out)
		},
	}
}

func newDebugRender(s *settings, io streams) *cobra.Command {
	var template, bos, eos string
	cmd := &cobra.Command{
		Use:   "render MODEL",
		Short: `Standard input: {"messages":[…],"add_generation_prompt":true}; output: the prompt text, nothing added`,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var request struct {
				Messages            []generate.Message `json:"messages"`
				AddGenerationPrompt bool               `json:"add_generation_prompt"`
			}
			form := `{"messages":[{"role":"user","content":"…"}],"add_generation_prompt":true}`
			if err := decode(io.in, form, &request); err != nil {
				return err
			}
			if request.Messages == nil {
				return fmt.Errorf(`standard input: there are no "messages"; want %s`, form)
			}
			path, err := s.resolve(cmd.Context(), args, io)
			if err != nil {
				return err
			}
			source, err := model.OpenTemplate(path)
			if err != nil {
				return err
			}
			src := templateSource(source)
			if cmd.Flags().Changed("bos-token") {
				src.BOSToken = bos
			}
			if cmd.Flags().Changed("eos-token") {
				src.EOSToken = eos
			}
			t, err := prompt.New(template, src)
			if err != nil {
				return err
			}
			text, err := t.Render(request.Messages, request.AddGenerationPrompt)
			if err != nil {
				return err
			}
			fmt.Fprint(io.out, text.String)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&template, "template", "", "model, instruction, falcon, chatml, none, or a Jinja file")
	f.StringVar(&bos, "bos-token", "", "instead of the model's")
	f.StringVar(&eos, "eos-token", "", "instead of the model's")
	return cmd
}

// decode reads the one JSON value that in holds. form shows what it should look like, for errors.
func decode(in io.Reader, form string, dst any) error {
	d := json.NewDecoder(in)
	err := d.Decode(dst)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = fmt.Errorf("something follows the JSON value, at byte %d", d.InputOffset())
		}
	}
	var kind *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF):
		err = errors.New("it is empty")
	case errors.As(err, &kind):
		err = fmt.Errorf("a JSON %s stands where none belongs, before byte %d", kind.Value, kind.Offset)
	}
	return fmt.Errorf("standard input: %w; want %s", err, form)
}
