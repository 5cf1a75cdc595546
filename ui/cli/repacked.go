package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"peregrine/model"
	"peregrine/model/repack"
	"peregrine/ui/escape"
)

// worthKeeping is from how many bytes on a chat keeps repacked weights: a gigabyte is repacked in half a second. Tests lower it.
var worthKeeping int64 = 1 << 30

// repackedDir returns the folder of repacked weights, "" where there is none.
func repackedDir() repack.Dir {
	dir, err := cacheDir()
	if err != nil {
		return ""
	}
	return repack.Dir(filepath.Join(dir, "repacked"))
}

// repacked returns the file for c's weights in the layout of the CPU, nil where none may be used.
func (s *settings) repacked(c *model.Checkpoint) *model.Repacked {
	dir := repackedDir()
	if dir == "" || s.file.KeepRepacked == "off" {
		return nil
	}
	file, err := dir.File(c)
	if err != nil {
		s.log.Info("repacked weights are not used", "error", err)
	}
	return file
}

// keep writes the weights of a chat's model in the background, so that its next start maps them. It says what it does, "" for
// nothing, and returns what ends it and waits for it.
func (s *settings) keep(q *sequence) (note string, stop func()) {
	keeper, ok := q.exec.(model.Keeper)
	if !ok || !q.mayKeep {
		return "", func() {}
	}
	bytes, kept := keeper.Repacked()
	if kept || bytes < worthKeeping {
		return "", func() {}
	}
	dir := repackedDir()
	if gone, err := dir.Tidy(); len(gone) > 0 || err != nil {
		s.log.Info("repacked weights", "removed", len(gone), "error", err)
	}
	if err := dir.Room(bytes); err != nil {
		s.log.Info("repacked weights are not kept", "error", err)
		return "", func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := keeper.Keep(ctx)
		s.log.Info("repacked weights", "kept", err == nil, "bytes", bytes, "error", err)
	}()
	note = fmt.Sprintf("keeping the repacked weights, %s, for a faster start (--keep-repacked off: never)", size(bytes))
	return note, func() {
		cancel()
		<-done
	}
}

// newRepack makes the command that writes a model's repacked weights now.
func newRepack(s *settings, io streams) *cobra.Command {
	return &cobra.Command{
		Use: "repack [MODEL]", Short: "Write a model's weights as the CPU reads them, so that it starts at once",
		Long: `Write a model's weights to the cache as the CPU reads them: starting with them takes a tenth of the time and no work. A
chat does so by itself with models from 1 GB on, while it is idle.`,
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := s.resolve(cmd.Context(), args, io)
			if err != nil {
				return err
			}
			return s.repackNow(cmd.Context(), path, io)
		},
	}
}

func (s *settings) repackNow(ctx context.Context, path string, io streams) (err error) {
	s.file.Backend, s.file.KeepRepacked, s.file.Context = "cpu", "on", 1
	c, err := openModel(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	file := s.repacked(c)
	if file == nil {
		return fmt.Errorf("%s: there is no cache folder; set XDG_CACHE_HOME", path)
	}
	backend, _, err := s.device(c.Params)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, backend.Close()) }()
	q, err := s.sequence(ctx, c, backend, func(float64) {})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, q.Close()) }()
	keeper, ok := q.exec.(model.Keeper)
	if !ok {
		return fmt.Errorf("%s: backend %s keeps no repacked weights", path, backend.Name())
	}
	bytes, kept := keeper.Repacked()
	if kept {
		fmt.Fprintf(io.out, "%s  %s, made before\n", escape.Line(file.Path), size(bytes))
		return nil
	}
	if err := keeper.Keep(ctx); err != nil {
		return err
	}
	fmt.Fprintf(io.out, "%s  %s\n", escape.Line(file.Path), size(bytes))
	return nil
}

// newRepacked makes the command that lists repacked weights, and removes them.
func newRepacked(io streams) *cobra.Command {
	var remove bool
	cmd := &cobra.Command{
		Use: "repacked", Short: "List the repacked weights in the cache, or remove them",
		Long: `List the files that hold weights as the CPU reads them. Each can be removed at any time: the model is then repacked when it
is loaded. Those whose model is gone are removed by themselves.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return listRepacked(remove, io) },
	}
	cmd.Flags().BoolVar(&remove, "rm", false, "remove all of them")
	return cmd
}

func listRepacked(remove bool, io streams) error {
	dir := repackedDir()
	if dir == "" {
		return nil
	}
	_, err := dir.Tidy()
	list, listErr := dir.List()
	err = errors.Join(err, listErr)
	w := tabwriter.NewWriter(io.out, 0, 0, 2, ' ', 0)
	for _, k := range list {
		state := ""
		switch {
		case remove:
			state = "removed"
			if failed := os.Remove(k.Path); failed != nil {
				state, err = "not removed", errors.Join(err, failed)
			}
		case !k.Finished:
			state = "not finished"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", escape.Line(k.Model), size(k.Bytes), state)
	}
	return errors.Join(w.Flush(), err)
}
