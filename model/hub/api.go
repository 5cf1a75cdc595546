package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// remoteFile is a file of a repository, as the hub lists it.
type remoteFile struct {
	Path string // slashes; checked to stay inside its folder
	Size int64  // bytes
	Hash string // git SHA-1 of the blob, or SHA-256 of the content where the hub stores it outside git
}

// listing is what a repository holds at a commit.
type listing struct {
	Commit string
	Files  []remoteFile
}

const (
	// maxAnswer bounds one answer of the API; a page of a listing has up to 1,000 files of some 400 bytes.
	maxAnswer = 8 << 20
	// maxPages bounds a listing.
	maxPages = 100
)

// list asks the hub which commit a revision is, and which files it holds.
func (c *Client) list(ctx context.Context, n Name) (*listing, error) {
	var info struct {
		SHA string `json:"sha"`
	}
	address := c.endpoint() + "/api/models/" + n.Repo + "/revision/" + url.PathEscape(n.revision())
	if _, err := c.answer(ctx, address, &info); err != nil {
		return nil, c.explain(err, n, "")
	}
	if !gitHash.MatchString(info.SHA) {
		return nil, fmt.Errorf("hub: %s: %s answers without a commit (sha is %.60q); is it a model hub, or a proxy's page?", n, c.host(), info.SHA)
	}
	l := &listing{Commit: info.SHA}
	address = c.endpoint() + "/api/models/" + n.Repo + "/tree/" + info.SHA + "?recursive=true&expand=false"
	for range maxPages {
		var page []treeEntry
		header, err := c.answer(ctx, address, &page)
		if err != nil {
			return nil, c.explain(err, n, "")
		}
		for _, e := range page {
			if e.Type != "file" {
				continue
			}
			f, err := e.file()
			if err != nil {
				return nil, fmt.Errorf("hub: %s: %s lists %w; nothing was fetched", n, c.host(), err)
			}
			l.Files = append(l.Files, f)
		}
		next := nextPage(header)
		if next == "" {
			return l, nil
		}
		if address, err = c.below(address, next); err != nil {
			return nil, fmt.Errorf("hub: %s: %w", n, err)
		}
	}
	return nil, fmt.Errorf("hub: %s: more than %d pages of files", n, maxPages)
}

// fileAddress is where a file's bytes are.
func (c *Client) fileAddress(repo, commit, path string) string {
	parts := strings.Split(path, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return c.endpoint() + "/" + repo + "/resolve/" + commit + "/" + strings.Join(parts, "/")
}

// treeEntry is one line of the hub's answer to "tree".
type treeEntry struct {
	Type string `json:"type"`
	Path string `json:"path"`
	Size int64  `json:"size"`
	OID  string `json:"oid"`
	LFS  *struct {
		OID  string `json:"oid"`
		Size int64  `json:"size"`
	} `json:"lfs"`
}

// file checks an entry: its path becomes a path here, its hash a file's name.
func (e treeEntry) file() (remoteFile, error) {
	f := remoteFile{Path: e.Path, Size: e.Size, Hash: e.OID}
	hash := gitHash
	if e.LFS != nil {
		f.Size, f.Hash, hash = e.LFS.Size, strings.TrimPrefix(e.LFS.OID, "sha256:"), sha256Hash
	}
	if err := checkPath(f.Path); err != nil {
		return f, err
	}
	if !hash.MatchString(f.Hash) {
		return f, fmt.Errorf("%s with the hash %.80q, which is none", f.Path, f.Hash)
	}
	if f.Size < 0 {
		return f, fmt.Errorf("%s with %d bytes", f.Path, f.Size)
	}
	return f, nil
}

// nextPage returns the address of the next page of a listing, "" behind the last one.
func nextPage(header http.Header) string {
	for _, line := range header.Values("Link") {
		for part := range strings.SplitSeq(line, ",") {
			address, parameters, ok := strings.Cut(strings.TrimSpace(part), ">")
			if ok && strings.Contains(parameters, `rel="next"`) {
				return strings.TrimPrefix(address, "<")
			}
		}
	}
	return ""
}

// below resolves a link of an answer. One that leads to another host is no page of the same listing.
func (c *Client) below(from, link string) (string, error) {
	base, err := url.Parse(from)
	if err != nil {
		return "", err
	}
	next, err := base.Parse(link)
	if err != nil {
		return "", fmt.Errorf("%s links to %.80q, which is no address", c.host(), link)
	}
	if !c.own(next) {
		return "", fmt.Errorf("%s continues its listing on another host, %s", c.host(), next.Host)
	}
	return next.String(), nil
}

// answer fetches an address of the API and decodes its JSON, again and again while the trouble may pass.
func (c *Client) answer(ctx context.Context, address string, v any) (http.Header, error) {
	var header http.Header
	err := c.retry(ctx, func(ctx context.Context) (bool, error) {
		r, err := c.get(ctx, address, nil)
		if err != nil {
			return false, err
		}
		defer r.close()
		raw, err := io.ReadAll(io.LimitReader(r, maxAnswer+1))
		switch {
		case err != nil:
			return false, err
		case len(raw) > maxAnswer:
			return false, permanent(fmt.Errorf("the answer of %s is longer than %d bytes", c.host(), maxAnswer))
		}
		if err := json.Unmarshal(raw, v); err != nil {
			return false, permanent(fmt.Errorf("%s answers with what is no listing (%w); is it a model hub, or a proxy's page?", c.host(), err))
		}
		header = r.Header
		return true, nil
	})
	return header, err
}

// explain turns a failed request for a repository, or a file of it, into one line with a remedy.
func (c *Client) explain(err error, n Name, file string) error {
	var status *statusError
	if !errors.As(err, &status) || !status.own {
		what := n.String()
		if file != "" {
			what = n.Repo + ": " + file
		}
		return fmt.Errorf("hub: %s: %w", what, err)
	}
	page := c.endpoint() + "/" + n.Repo
	token := "set HF_TOKEN to a token that may read it"
	if c.Token != "" {
		token = "the token of " + c.tokenSource() + " may not read it; use another one"
	}
	switch {
	case status.is("GatedRepo"):
		return fmt.Errorf("hub: %s: this model is gated: accept its terms on %s; then %s", n, page, token)
	case status.is("RevisionNotFound"):
		return fmt.Errorf("hub: %s: no revision %q; its branches and tags are listed on %s", n.Repo, n.revision(), page)
	case status.is("EntryNotFound"):
		return fmt.Errorf("hub: %s: %s is listed, but %s does not have it", n, file, c.host())
	case status.code == http.StatusUnauthorized && c.Token != "" && strings.Contains(strings.ToLower(status.message), "token"):
		return fmt.Errorf("hub: %s: %s refuses the token of %s: %s", n, c.host(), c.tokenSource(), status.message)
	case status.is("RepoNotFound"), status.code == http.StatusUnauthorized, status.code == http.StatusNotFound:
		return fmt.Errorf("hub: %s: no such repository on %s, or it is private or gated; look at the spelling, or %s", n, c.host(), token)
	case status.code == http.StatusForbidden:
		return fmt.Errorf("hub: %s: %s forbids it%s; %s", n, c.host(), status.because(), token)
	case status.code == http.StatusTooManyRequests:
		return fmt.Errorf("hub: %s: %s takes no more requests for now%s; try later, or set HF_TOKEN, for which it allows more", n, c.host(), status.wait())
	}
	return fmt.Errorf("hub: %s: %w", n, status)
}
