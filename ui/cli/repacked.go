package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"peregrine/model"
	"peregrine/model/engine"
	"peregrine/model/repack"
	"peregrine/ui/escape"
)

// keepFrom is from how many bytes on a chat or a pull keeps repacked weights: a gigabyte is repacked in half a second. Tests lower it.
var keepFrom int64 = 1 << 30

// keepAfter is how long a chat lasts before they are written: who looks in for a moment would leave nothing finished. Tests lower it.
var keepAfter = 30 * time.Second

// keepSettle is how long an end waits for what is being written.
const keepSettle = 3 * time.Second

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

// keep has the repacked weights of a chat's model written in the background, so that its next start maps them, and tidies the
// folder. What is done is noted in m, whose Close ends it.
func (s *settings) keep(q *sequence, m *engine.Model) {
	keeper, ok := q.exec.(model.Keeper)
	if !ok || q.file == nil {
		return
	}
	dir := repackedDir()
	bytes, write := s.worthKeeping(keeper, q.file, dir)
	if write {
		m.Info.Notes = append(m.Info.Notes, fmt.Sprintf("keeping the repacked weights, %s, for a faster start (--keep-repacked off: never)", size(bytes)))
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		gone, err := dir.Tidy()
		s.log.Info("repacked weights", "removed", len(gone), "error", err)
		if !write {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(keepAfter):
		}
		err = keeper.Keep(ctx)
		s.log.Info("repacked weights", "kept", err == nil, "bytes", bytes, "error", err)
	}()
	end := m.Close
	m.Close = func() error {
		cancel()
		select {
		case <-done:
			return end()
		case <-time.After(keepSettle): // a disk that hangs must not hold up the end of the program, nor another model
			go func() {
				<-done
				_ = end() // nobody waits for it any more
			}()
			return nil
		}
	}
}

// worthKeeping says whether a file of the weights is to be made, of how many bytes.
func (s *settings) worthKeeping(keeper model.Keeper, file *model.Repacked, dir repack.Dir) (bytes int64, write bool) {
	bytes, kept := keeper.Repacked()
	if kept || bytes < keepFrom {
		return bytes, false
	}
	more := bytes
	if old, err := os.Stat(file.Path); err == nil { // of other weights, or it would have been used
		more -= old.Size()
	}
	if err := dir.Room(more); err != nil {
		s.log.Info("repacked weights are not kept", "error", err)
		return bytes, false
	}
	return bytes, true
}

// newRepack makes the command that writes a model's repacked weights now.
func newRepack(s *settings, io streams) *cobra.Command {
	return &cobra.Command{
		Use: "repack [MODEL]", Short: "Write a model's weights as the CPU reads them, so that it starts at once",
		Long: `Write a model's weights to the cache as the CPU reads them: starting with them takes a tenth of the time and no work. With
models from 1 GB on, a pull does so by itself at its end, and a chat while it is idle.`,
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
	now := *s
	now.file.Backend, now.file.KeepRepacked = "cpu", "on"
	c, err := openModel(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	return now.withKeeper(ctx, c, func(keeper model.Keeper, file *model.Repacked) error {
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
	})
}

// repackPulled writes the repacked weights of a large model that was just pulled, where it would run on the CPU: so its first start is
// as fast as the others. That it cannot be done is no failure of the pull; only an interruption is an error.
func (s *settings) repackPulled(ctx context.Context, path string, io streams) error {
	if s.file.KeepRepacked == "off" || !slices.Contains([]string{"", "auto", "cpu"}, s.file.Backend) {
		return nil
	}
	c, err := openModel(path)
	if err != nil {
		s.log.Info("a pulled model is not repacked", "error", err)
		return nil
	}
	defer func() { s.log.Info("a pulled model is closed", "error", c.Close()) }()
	if c.WeightBytes() < keepFrom {
		return nil
	}
	err = s.withKeeper(ctx, c, func(keeper model.Keeper, file *model.Repacked) error {
		bytes, write := s.worthKeeping(keeper, file, repackedDir())
		if !write {
			return nil
		}
		fmt.Fprintf(io.err, "keeping the repacked weights, %s, for a faster start (--keep-repacked off: never)\n", size(bytes))
		return keeper.Keep(ctx)
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		fmt.Fprintln(io.err, "peregrine: the repacked weights are not kept:", escape.Line(err.Error()))
	}
	return nil
}

// withKeeper loads a model on the backend that would run it, and calls use if that is one with repacked weights and may keep them.
func (s *settings) withKeeper(ctx context.Context, c *model.Checkpoint, use func(model.Keeper, *model.Repacked) error) (err error) {
	short := *s
	short.file.Context = 1
	file := short.repacked(c)
	if file == nil {
		return fmt.Errorf("%s: no cache folder can be named for its repacked weights; set XDG_CACHE_HOME", c.Path)
	}
	backend, _, err := short.device(c.Params)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, backend.Close()) }()
	if onDevice(backend) {
		return nil
	}
	q, err := short.sequence(ctx, c, backend, false, func(float64) {})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, q.Close()) }()
	keeper, ok := q.exec.(model.Keeper)
	if !ok {
		return fmt.Errorf("%s: backend %s keeps no repacked weights", c.Path, backend.Name())
	}
	return use(keeper, file)
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
		fmt.Fprintf(w, "%s\t%s\t%s\n", escape.Line(cmp.Or(k.Model, k.Path)), size(k.Bytes), state)
	}
	return errors.Join(w.Flush(), err)
}
