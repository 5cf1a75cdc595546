// Peregrine is a terminal chat for people who run language models themselves.
package main

import (
	"os"

	"peregrine/ui/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:])) }
