package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"peregrine/model/hub"
	"peregrine/ui/escape"
)

func newPull(s *settings, io streams) *cobra.Command {
	var include []string
	cmd := &cobra.Command{
		Use:   "pull [OWNER/NAME[/FILE][@REVISION]]",
		Short: "Fetch a model from the hub, or the default model, and print its path",
		Long: `Fetch a model from the model hub into the cache that all of the hub's tools share, and print its path. Of a repository
only those files come that are needed: safetensors, or one GGUF file, with the configuration and the tokenizer; never
pickles or code. Where a repository holds several GGUF files, name one: OWNER/NAME/FILE, or --include with a pattern.

Every file is checked against its hash. A pull that is stopped, by whatever, goes on from there when it is called again.
If it has 1 GB or more and runs on the CPU here, its repacked weights are kept as well (see "peregrine models repack").
Without an argument the default model is fetched.

The hub's usual variables count: HF_TOKEN for private and gated models (or the token file of the hub's tools), HF_HOME and
HF_HUB_CACHE for the cache, HF_ENDPOINT for another hub, HF_HUB_OFFLINE to ask none; HTTPS_PROXY for a proxy.`,
		Example: `  peregrine pull tiiuae/falcon-7b-instruct
  peregrine pull OWNER/NAME-GGUF --include '*Q4_0*'
  peregrine pull OWNER/NAME@REVISION`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := ""
			if len(args) > 0 {
				name = args[0]
			}
			path, err := pull(cmd.Context(), name, include, io)
			if err != nil {
				return err
			}
			fmt.Fprintln(io.out, path) // also if what follows is interrupted
			return s.repackPulled(cmd.Context(), path, io)
		},
	}
	cmd.Flags().StringArrayVar(&include, "include", nil, "fetch the safetensors or GGUF files that fit this pattern; may be repeated")
	return cmd
}

// pull fetches a model by name and returns its path.
func pull(ctx context.Context, name string, include []string, io streams) (string, error) {
	if hub.IsDefault(name) {
		path, missing, err := resolve(name)
		if err != nil || !missing {
			return path, err
		}
		return fetchDefault(ctx, io)
	}
	n, err := hub.ParseName(name)
	if err != nil {
		return "", usage("%v", err)
	}
	start := time.Now()
	p := &pullProgress{out: io.err, person: isTerminal(io.err)}
	pulled, err := pullNamed(ctx, n, include, p.show)
	p.end()
	if err != nil {
		if ctx.Err() != nil {
			fmt.Fprintf(io.err, "stopped; `peregrine pull %s` goes on from here\n", n)
		}
		return "", err
	}
	if pulled.Note != "" {
		fmt.Fprintln(io.err, "peregrine:", escape.Line(pulled.Note))
	} else if pulled.Bytes > 0 {
		fmt.Fprintf(io.err, "%s: %s in %v, every file checked\n", n, size(pulled.Bytes), time.Since(start).Round(time.Second))
	}
	return pulled.Path, nil
}

// pullNamed brings a model to the hub's cache, as the environment wants it.
func pullNamed(ctx context.Context, n hub.Name, include []string, observe func(hub.Progress)) (*hub.Pulled, error) {
	client, err := newHub()
	if err != nil {
		return nil, err
	}
	where := place()
	if where.Shared.Dir == "" {
		return nil, errors.New("no home folder for the hub's cache; set HF_HUB_CACHE")
	}
	return client.Pull(ctx, where.Shared, n, include, observe)
}
