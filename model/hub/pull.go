package hub

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// Pulled is a model that a pull has brought, or found in the cache.
type Pulled struct {
	Path   string // what opens it: a folder or a GGUF file
	Commit string
	Bytes  int64  // that came over the network, or were left by an earlier pull
	Note   string // why the hub was not asked, where that went well; "" when it was
}

// filesAtOnce is how many files are fetched side by side; most of them are small.
const filesAtOnce = 4

// Pull brings a model to the cache and returns it: the files that this program needs of a repository, or those weights that
// include's patterns name (see path.Match) and what belongs to them. Files that are there are not fetched again.
//
// observe, which may be nil, is called some times a second until Pull returns. When ctx ends, or the network does, all bytes that
// came stay for the next pull. When the hub cannot be asked, a complete copy in the cache is what Pull returns.
func (c *Client) Pull(ctx context.Context, cache Cache, n Name, include []string, observe func(Progress)) (*Pulled, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	if c.Offline != "" {
		return cache.instead(n, include, fmt.Errorf("hub: %s: not in the cache, and %s; go online, or name another model", n, c.Offline), c.Offline)
	}
	if n.File != "" {
		include = append(include[:len(include):len(include)], n.File, n.File+ggufEnding, n.File+safetensorsEnding)
	}
	remote, err := c.list(ctx, n)
	if err != nil {
		var status *statusError
		if ctx.Err() != nil || errors.As(err, &status) && !status.passes() {
			return nil, err
		}
		return cache.instead(n, include, err, c.host()+" cannot be asked")
	}
	files, err := choose(remote.Files, n, include)
	if err != nil {
		return nil, err
	}
	p := &pull{client: c, repo: cache.repo(n), name: n, commit: remote.Commit, cache: cache}
	if err := p.fetch(ctx, files, observe); err != nil {
		return nil, err
	}
	if err := p.repo.setRef(n.revision(), remote.Commit); err != nil {
		return nil, fmt.Errorf("hub: %s: %w", n, err)
	}
	return &Pulled{Path: opened(p.repo.snapshot(remote.Commit), files), Commit: remote.Commit, Bytes: p.meter.done}, nil
}

// instead returns the cache's copy when the hub cannot be asked; err is the answer when there is none.
func (k Cache) instead(n Name, include []string, err error, why string) (*Pulled, error) {
	if len(include) > 0 && n.File == "" {
		return nil, err // which files that would be, the hub alone knows
	}
	found, findErr := k.Find(n)
	if findErr != nil {
		return nil, err
	}
	return &Pulled{Path: found.Path, Commit: found.Commit, Note: why + "; this is what the cache holds"}, nil
}

// opened returns what opens the files of a snapshot: the folder, or the GGUF file where that is all.
func opened(snapshot string, files []remoteFile) string {
	for _, f := range files {
		if filepath.Ext(f.Path) == ggufEnding {
			return filepath.Join(snapshot, filepath.FromSlash(f.Path))
		}
	}
	return snapshot
}

// pull is one call of Pull.
type pull struct {
	client *Client
	cache  Cache
	repo   repository
	name   Name
	commit string
	meter  meter
}

// fetch brings those files that are not there.
func (p *pull) fetch(ctx context.Context, files []remoteFile, observe func(Progress)) error {
	var missing []remoteFile
	need := int64(0)
	for _, f := range files {
		if p.repo.holds(p.commit, f) {
			continue
		}
		missing = append(missing, f)
		p.meter.total += f.Size
		need += f.Size - p.repo.begun(f)
	}
	if len(missing) == 0 {
		return nil
	}
	for _, dir := range []string{"blobs", "refs", filepath.Join("snapshots", p.commit)} {
		if err := os.MkdirAll(filepath.Join(p.repo.dir, dir), 0o755); err != nil {
			return fmt.Errorf("hub: %s: cannot write to the cache: %w; set HF_HUB_CACHE to a writable place", p.name, err)
		}
	}
	if err := room(p.repo.dir, need); err != nil {
		return fmt.Errorf("hub: %s: %w", p.name, err)
	}
	stop := p.meter.tell(observe)
	defer stop()
	slots := p.client.slots()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(filesAtOnce)
	for _, f := range missing {
		group.Go(func() error {
			return p.fetchFile(ctx, slots, f)
		})
	}
	return group.Wait()
}

// slots returns one place for each connection.
func (c *Client) slots() chan struct{} {
	n := c.Connections
	if n <= 0 {
		n = defaultConnections
	}
	return make(chan struct{}, n)
}

// fetchFile brings one file under its lock and links it.
func (p *pull) fetchFile(ctx context.Context, slots chan struct{}, f remoteFile) error {
	l, err := lock(ctx, p.cache.lockPath(p.name, f.Hash))
	if err == nil {
		defer l.release()
		err = p.fetchLocked(ctx, slots, f)
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return err
	case errors.Is(err, unix.ENOSPC):
		return fmt.Errorf("hub: %s: %s: %w; make room and pull again, which goes on from here", p.name.Repo, f.Path, err)
	}
	return p.client.explain(err, p.name, f.Path)
}

func (p *pull) fetchLocked(ctx context.Context, slots chan struct{}, f remoteFile) error {
	blob := p.repo.blob(f.Hash)
	if info, err := os.Stat(blob); err == nil && info.Size() == f.Size {
		p.meter.add(f.Size) // another process, or the same content under another name
	} else if err := p.client.fetchBlob(ctx, slots, &p.meter, p.client.fileAddress(p.name.Repo, p.commit, f.Path), f, blob); err != nil {
		return err
	}
	return p.repo.link(p.commit, f)
}

// room refuses a download for which the disk has no place.
func room(dir string, need int64) error {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return nil // a disk that does not say; writing will
	}
	free := int64(min(stat.Bavail, 1<<40)) * int64(stat.Bsize)
	if need > free {
		return fmt.Errorf("%.2f GB are needed and %.2f GB are free in %s; make room, or set HF_HUB_CACHE to another disk",
			float64(need)/1e9, float64(free)/1e9, dir)
	}
	return nil
}
