package cli

import (
	"cmp"
	"errors"
	"fmt"
	stdio "io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"peregrine/model/hub"
	"peregrine/ui/escape"
)

// newModels makes the commands about the models that are here. Which ones may be opened, `inspect` says.
func newModels(s *settings, io streams) *cobra.Command {
	parent := group("models", "List, check and remove the models that are here")
	var repair bool
	verify := &cobra.Command{
		Use: "verify [NAME...]", Short: "Hash the files of models, of all when none is named, and say which are damaged",
		ValidArgsFunction: completeModels,
		RunE:              func(cmd *cobra.Command, args []string) error { return verifyModels(cmd, args, repair, io) },
	}
	verify.Flags().BoolVar(&repair, "repair", false, "remove damaged files, so that the next pull fetches them")
	parent.AddCommand(
		&cobra.Command{
			Use: "list", Short: "List the models in the cache, by the names that MODEL arguments take", Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error { return listModels(io) },
		},
		&cobra.Command{
			Use: "info NAME", Short: "Say what the cache holds of a model: revisions, files, sizes, hashes", Args: cobra.ExactArgs(1),
			ValidArgsFunction: completeModels,
			RunE:              func(_ *cobra.Command, args []string) error { return infoModel(args[0], io) },
		},
		verify,
		&cobra.Command{
			Use: "rm NAME...", Short: "Remove models from the cache: a repository, a revision or one file of it",
			Long: `Remove models from the cache: a repository, a revision (NAME@REVISION) or one file of it (NAME/FILE). The cache is
shared with the hub's other tools: what is removed is gone for them too.`,
			Args:              cobra.MinimumNArgs(1),
			ValidArgsFunction: completeModels,
			RunE:              func(_ *cobra.Command, args []string) error { return removeModels(args, io) },
		},
		newRepack(s, io), newRepacked(io),
	)
	return parent
}

// listedName is how a model of the list is called.
func listedName(f hub.Found, p hub.Place) string {
	if f.Path == hub.Default.Path(p.Own) {
		return hub.Default.Name
	}
	return f.Name
}

func completeModels(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	p := place()
	found, _ := p.Models() // what cannot be read is not offered
	var names []cobra.Completion
	for _, f := range found {
		names = append(names, listedName(f, p))
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func listModels(io streams) error {
	p := place()
	found, err := p.Models()
	w := tabwriter.NewWriter(io.out, 0, 0, 2, ' ', 0)
	for _, f := range found {
		state := ""
		if lacks := f.Lacking(); len(lacks) > 0 {
			state = "lacks " + strings.Join(lacks, ", ")
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", escape.Line(listedName(f, p)), size(f.Bytes()), escape.Line(state))
	}
	for _, e := range p.Unfinished() {
		fmt.Fprintf(w, "%s\t%s\tnot finished; `peregrine pull %s` goes on\n", escape.Line(e.Name), size(e.Begun), escape.Line(e.Name))
	}
	return errors.Join(w.Flush(), err)
}

func infoModel(name string, io streams) error {
	e, err := place().Look(name)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(io.out, 0, 0, 2, ' ', 0)
	row := func(name, value string) { fmt.Fprintf(w, "%s\t%s\n", name, escape.Line(value)) }
	row("model", e.Name)
	row("path", e.Path)
	row("size", size(e.Bytes))
	if e.Begun > 0 {
		row("not finished", size(e.Begun)+" of other files")
	}
	for _, s := range e.Commits {
		if s.Commit != "" {
			fmt.Fprintln(w)
			row("commit", strings.TrimSpace(s.Commit+"  "+strings.Join(s.Revisions, ", ")))
		}
		if lacks := e.Lacking(s); len(lacks) > 0 {
			row("lacks", strings.Join(lacks, ", "))
		}
		for _, f := range s.Files {
			fmt.Fprintf(w, "  %s\t%s\t%s\n", escape.Line(f.Name), size(f.Bytes), describeFile(f))
		}
	}
	return w.Flush()
}

// describeFile says what is known of a file's content.
func describeFile(f hub.StoredFile) string {
	const gitHash = 40 // characters
	switch {
	case f.Err != nil:
		return "is gone"
	case f.Hash == "":
		return "no hash is known"
	case len(f.Hash) == gitHash:
		return "git " + f.Hash
	}
	return "sha256 " + f.Hash
}

// verifyModels hashes models and fails when one is damaged.
func verifyModels(cmd *cobra.Command, names []string, repair bool, io streams) error {
	p := place()
	if len(names) == 0 {
		found, err := p.Models()
		if err != nil {
			return err
		}
		for _, f := range found {
			names = append(names, listedName(f, p))
		}
	}
	damaged := 0
	for _, name := range names {
		e, err := p.Look(name)
		if err != nil {
			return err
		}
		n, err := verifyModel(cmd, e, repair, io.out)
		if err != nil {
			return err
		}
		damaged += n
	}
	if damaged > 0 {
		remedy := "`peregrine models verify --repair` removes what is damaged, and a pull fetches it anew"
		if repair {
			remedy = "`peregrine pull` fetches anew what was removed"
		}
		return fmt.Errorf("%d files are damaged or missing; %s", damaged, remedy)
	}
	return nil
}

// verifyModel prints what is wrong with a model's files, and a line about all of them. It returns how many are damaged.
func verifyModel(cmd *cobra.Command, e *hub.Entry, repair bool, out stdio.Writer) (damaged int, err error) {
	files, unknown := 0, 0
	for _, s := range e.Commits {
		for _, name := range e.Lacking(s) {
			fmt.Fprintf(out, "%s: %s is missing\n", escape.Line(e.Name), escape.Line(name))
			damaged++
		}
		for _, f := range s.Files {
			checked, err := f.Verify(cmd.Context())
			if cmd.Context().Err() != nil {
				return damaged, cmd.Context().Err()
			}
			files++
			if !checked {
				unknown++
			}
			if err == nil {
				continue
			}
			damaged++
			fmt.Fprintf(out, "%s: %s\n", escape.Line(e.Name), escape.Line(err.Error()))
			if repair {
				if err := f.Discard(); err != nil {
					return damaged, err
				}
			}
		}
	}
	verdict := "all right"
	switch {
	case damaged > 0:
		verdict = fmt.Sprintf("%d damaged or missing", damaged)
	case unknown > 0:
		verdict = fmt.Sprintf("%d without a known hash, the others all right", unknown)
	}
	fmt.Fprintf(out, "%s: %d files, %s, %s\n", escape.Line(e.Name), files, size(e.Bytes), verdict)
	return damaged, nil
}

func removeModels(names []string, io streams) error {
	for _, name := range names {
		freed, err := place().Remove(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(io.out, "removed %s, %s\n", escape.Line(name), size(freed))
	}
	gone, err := repackedDir().Tidy()
	for _, k := range gone {
		fmt.Fprintf(io.out, "removed repacked weights of %s, %s\n", escape.Line(cmp.Or(k.Model, k.Path)), size(k.Bytes))
	}
	return err
}
