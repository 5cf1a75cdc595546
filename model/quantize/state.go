package quantize

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"peregrine/model/safetensors"
	"peregrine/model/tensor"
)

// stateName is the file that says what a working folder belongs to.
const stateName = "state.json"

// ErrForeign says that a working folder holds the work of a call with other arguments.
var ErrForeign = errors.New("quantize: unfinished work of another kind")

// state is a working folder: the finished layers, and the activations between the last of them and the next.
type state struct {
	dir  string
	id   string // hash of all that the work depends on
	lock *os.File
}

// openState makes dir or takes it over when its work depends on the same facts. Another process's is refused, and so is a folder
// that holds anything but such work: in the end the folder is removed.
func openState(dir string, facts map[string]string) (_ *state, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("quantize: %w", err)
	}
	if err := checkOwn(dir); err != nil {
		return nil, err
	}
	s := &state{dir: dir}
	if s.lock, err = os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644); err != nil {
		return nil, fmt.Errorf("quantize: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	switch err := unix.Flock(int(s.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
	case errors.Is(err, unix.EWOULDBLOCK):
		return nil, fmt.Errorf("quantize: %s: another process works there; wait for it, or name another folder", dir)
	case err != nil:
		return nil, fmt.Errorf("quantize: %s: lock: %w", dir, err)
	}
	if err := removeTemporary(dir); err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(facts, "", "  ")
	if err != nil {
		return nil, err
	}
	hash := sha256.Sum256(text)
	s.id = hex.EncodeToString(hash[:])
	path := filepath.Join(dir, stateName)
	there, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s, writeWhole(path, text)
	case err != nil:
		return nil, fmt.Errorf("quantize: %w", err)
	case bytes.Equal(there, text):
		return s, nil
	}
	var theirs map[string]string
	if err := json.Unmarshal(there, &theirs); err != nil || theirs["version"] == "" || theirs["method"] == "" {
		return nil, fmt.Errorf("quantize: %s was not written by this program; move %s away, or name another folder", path, dir)
	}
	return nil, fmt.Errorf("%w: %s: %s", ErrForeign, dir, differences(theirs, facts))
}

// checkOwn refuses a folder without a state file that holds anything else.
func checkOwn(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("quantize: %w", err)
	}
	var other string
	for _, e := range entries {
		switch name := e.Name(); {
		case name == stateName:
			return nil
		case name != "lock" && !strings.HasPrefix(name, "."+stateName): // left by a kill before the first state file was whole
			other = name
		}
	}
	if other != "" {
		return fmt.Errorf("quantize: %s holds %q and no unfinished work; move it away, or name another folder", dir, other)
	}
	return nil
}

// removeTemporary removes the files that kills left half written, each up to the size of a layer.
func removeTemporary(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("quantize: %w", err)
	}
	for _, e := range entries {
		for _, kind := range []string{stateName, "layer-", "hidden-"} {
			if !strings.HasPrefix(e.Name(), "."+kind) {
				continue
			}
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return fmt.Errorf("quantize: %w", err)
			}
		}
	}
	return nil
}

// differences lists what distinguishes two calls, at most three facts. A fact that one of them does not have follows from
// another.
func differences(theirs, ours map[string]string) string {
	var list []string
	for _, key := range slices.Sorted(maps.Keys(ours)) {
		if there, ok := theirs[key]; ok && there != ours[key] {
			list = append(list, fmt.Sprintf("%s is %q there and %q here", key, there, ours[key]))
		}
	}
	if len(list) == 0 {
		return "it lists other facts"
	}
	return strings.Join(list[:min(len(list), 3)], ", ")
}

// writeWhole writes a file whole or not at all.
func writeWhole(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("quantize: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("quantize: %w", err)
	}
	return nil
}

func (s *state) close() error { return s.lock.Close() }

func (s *state) layerPath(i int) string {
	return filepath.Join(s.dir, fmt.Sprintf("layer-%04d.safetensors", i))
}

// hiddenPath is the file of the activations that layer i reads.
func (s *state) hiddenPath(i int) string {
	return filepath.Join(s.dir, fmt.Sprintf("hidden-%04d.safetensors", i))
}

// save writes tensors with their hash.
func (s *state) save(ctx context.Context, path string, tensors []tensor.View, losses []Loss) error {
	text, err := json.Marshal(losses)
	if err != nil {
		return err
	}
	return safetensors.WriteContext(ctx, path, tensors, map[string]string{
		"id": s.id, "sha256": checksum(tensors), "losses": string(text),
	}, nil)
}

// load opens a file that save wrote. Whatever is not exactly that, a torn file or one of other work, is an error.
func (s *state) load(path string) (*safetensors.File, []tensor.View, []Loss, error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, nil, nil, err
	}
	fail := func(err error) (*safetensors.File, []tensor.View, []Loss, error) {
		return nil, nil, nil, errors.Join(fmt.Errorf("quantize: %s: %w", path, err), f.Close())
	}
	m := f.Metadata()
	if m["id"] != s.id {
		return fail(errors.New("belongs to other work"))
	}
	var tensors []tensor.View
	for _, name := range f.Names() {
		v, _ := f.Tensor(name)
		tensors = append(tensors, v)
	}
	if sum := checksum(tensors); sum != m["sha256"] {
		return fail(fmt.Errorf("has hash %.12s…, its head says %.12s…", sum, m["sha256"]))
	}
	var losses []Loss
	if err := json.Unmarshal([]byte(m["losses"]), &losses); err != nil {
		return fail(err)
	}
	return f, tensors, losses, nil
}

// checksum hashes names, shapes and contents.
func checksum(tensors []tensor.View) string {
	sorted := slices.Clone(tensors)
	slices.SortFunc(sorted, func(a, b tensor.View) int { return cmp.Compare(a.Name, b.Name) })
	h := sha256.New()
	for _, v := range sorted {
		fmt.Fprintf(h, "%q %v %v\n", v.Name, v.DType, v.Shape)
		h.Write(v.Data)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// saveHidden writes the activations that layer i reads, and drops those before the ones before: should the newest turn out to
// be damaged, the work goes on one layer earlier.
func (s *state) saveHidden(ctx context.Context, i int, x []float32, hidden int) error {
	data := make([]byte, 4*len(x))
	for k, v := range x {
		binary.LittleEndian.PutUint32(data[4*k:], math.Float32bits(v))
	}
	view := tensor.View{Name: "hidden", DType: tensor.F32, Shape: []int{len(x) / hidden, hidden}, Data: data}
	if err := s.save(ctx, s.hiddenPath(i), []tensor.View{view}, nil); err != nil {
		return err
	}
	if i < 2 {
		return nil
	}
	if err := os.Remove(s.hiddenPath(i - 2)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("quantize: %w", err)
	}
	return nil
}

// loadHidden reads the activations that layer i reads into x.
func (s *state) loadHidden(i int, x []float32) (err error) {
	f, tensors, _, err := s.load(s.hiddenPath(i))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if len(tensors) != 1 || tensors[0].DType != tensor.F32 || len(tensors[0].Data) != 4*len(x) {
		return fmt.Errorf("quantize: %s: holds other activations", s.hiddenPath(i))
	}
	_, err = tensors[0].Float32(x)
	return err
}
