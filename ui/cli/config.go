package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newConfig(s *settings, io streams) *cobra.Command {
	parent := group("config", "Show the settings")
	parent.AddCommand(
		&cobra.Command{
			Use: "path", Short: "Print where config.toml is looked for", Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error {
				path := s.configPath
				if path == "" {
					var err error
					if path, err = configPath(); err != nil {
						return err
					}
				}
				fmt.Fprintln(io.out, path)
				return nil
			},
		},
		&cobra.Command{
			Use: "show", Short: "Print the settings in effect, as a config.toml", Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error { return s.file.show(io.out) },
		},
	)
	return parent
}
