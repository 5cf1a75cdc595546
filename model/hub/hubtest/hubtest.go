// Package hubtest offers a model hub for tests: it speaks the hub's API on this machine, and can be told to misbehave.
package hubtest

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Commit is the commit at which a new server is.
const Commit = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

// Server is a hub with one repository, o/n. Its .safetensors and .gguf files are stored outside git: the hub redirects to another
// host for them, which must never see the token.
type Server struct {
	Hub    *httptest.Server
	Files  *httptest.Server // the other host
	Commit string
	Tree   []map[string]any  // as the API lists it
	Body   map[string][]byte // what is sent, by path
	Served atomic.Int64      // bytes of files that were sent
	// Gate may answer a request to the hub itself, by saying true.
	Gate func(w http.ResponseWriter, r *http.Request) bool

	mu     sync.Mutex
	fault  Fault
	tries  map[string]int // requests for each path
	tokens []string       // Authorization of all requests to the hub
	leaked string         // Authorization that the other host saw
}

// Fault may answer a request for a file's bytes itself, by saying true. try counts from 1.
type Fault func(w http.ResponseWriter, r *http.Request, path string, try int) bool

// Weights are bytes that differ everywhere, so that a piece in the wrong place is seen.
func Weights(n int) []byte {
	b := make([]byte, n)
	x := uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

// SHA256 returns the hash of b, as the hub names content outside git.
func SHA256(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

func gitSHA(b []byte) string {
	h := sha1.New()
	fmt.Fprintf(h, "blob %d\x00", len(b))
	h.Write(b)
	return hex.EncodeToString(h.Sum(nil))
}

// Serve starts a hub whose repository holds files.
func Serve(t testing.TB, files map[string]string) *Server {
	s := &Server{Commit: Commit, tries: map[string]int{}}
	s.Replace(files)
	s.Hub = httptest.NewUnstartedServer(http.HandlerFunc(s.answer))
	s.Files = httptest.NewUnstartedServer(http.HandlerFunc(s.other))
	s.Hub.Start()
	s.Files.Start()
	t.Cleanup(s.Hub.Close)
	t.Cleanup(s.Files.Close)
	return s
}

// Replace changes what the repository holds.
func (s *Server) Replace(files map[string]string) {
	s.Tree, s.Body = nil, map[string][]byte{}
	for path, content := range files {
		s.add(path, []byte(content))
	}
}

// SetFault arranges a fault, also while requests come from another process.
func (s *Server) SetFault(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// Tokens returns what came as Authorization with each request to the hub.
func (s *Server) Tokens() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.tokens)
}

// Leaked returns the Authorization that the other host saw; "" is as it should be.
func (s *Server) Leaked() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.leaked
}

func (s *Server) add(path string, content []byte) {
	s.Body[path] = content
	entry := map[string]any{"type": "file", "path": path, "size": len(content), "oid": gitSHA(content)}
	if large(path) {
		entry["oid"] = gitSHA([]byte("a pointer"))
		entry["lfs"] = map[string]any{"oid": SHA256(content), "size": len(content), "pointerSize": 9}
	}
	s.Tree = append(s.Tree, entry)
}

func large(path string) bool {
	return strings.HasSuffix(path, ".safetensors") || strings.HasSuffix(path, ".gguf") || strings.HasSuffix(path, ".bin")
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.tokens = append(s.tokens, r.Header.Get("Authorization"))
	s.mu.Unlock()
	if s.Gate != nil && s.Gate(w, r) {
		return
	}
	path := r.URL.EscapedPath()
	switch {
	case strings.HasPrefix(path, "/api/models/o/n/revision/"):
		revision := strings.TrimPrefix(path, "/api/models/o/n/revision/")
		if !s.known(revision) {
			w.Header().Set("X-Error-Code", "RevisionNotFound")
			w.WriteHeader(http.StatusNotFound)
			return
		}
		siblings := []map[string]any{}
		for _, entry := range s.Tree {
			siblings = append(siblings, map[string]any{"rfilename": entry["path"]})
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"sha": s.Commit, "id": "o/n", "siblings": siblings})
	case path == "/api/models/o/n/tree/"+s.Commit:
		// two entries a page
		at, _ := strconv.Atoi(r.URL.Query().Get("cursor"))
		end := min(at+2, len(s.Tree))
		if end < len(s.Tree) {
			w.Header().Set("Link", fmt.Sprintf(`<%s%s?recursive=true&cursor=%d>; rel="next"`, s.Hub.URL, path, end))
		}
		_ = json.NewEncoder(w).Encode(s.Tree[at:end])
	case strings.HasPrefix(path, "/o/n/resolve/"):
		revision, name, _ := strings.Cut(strings.TrimPrefix(path, "/o/n/resolve/"), "/")
		if !s.known(revision) {
			w.Header().Set("X-Error-Code", "RevisionNotFound")
			w.WriteHeader(http.StatusNotFound)
			return
		}
		s.describe(w.Header(), name)
		if large(name) {
			http.Redirect(w, r, s.Files.URL+"/signed/"+name+"?signature=secret", http.StatusFound)
			return
		}
		s.bytes(w, r, name)
	default:
		w.Header().Set("X-Error-Code", "RepoNotFound")
		w.WriteHeader(http.StatusUnauthorized)
	}
}

// known reports whether a revision, escaped, leads to the commit.
func (s *Server) known(revision string) bool {
	return slices.Contains([]string{"main", "v1", "refs%2Fpr%2F1", s.Commit}, revision)
}

// describe says of a file what the hub says in the headers of every answer about it.
func (s *Server) describe(h http.Header, name string) {
	body, ok := s.Body[name]
	if !ok {
		return
	}
	h.Set("X-Repo-Commit", s.Commit)
	if !large(name) {
		h.Set("ETag", `"`+gitSHA(body)+`"`)
		return
	}
	h.Set("X-Linked-ETag", `"`+SHA256(body)+`"`)
	h.Set("X-Linked-Size", strconv.Itoa(len(body)))
}

// other is the host that has the large files.
func (s *Server) other(w http.ResponseWriter, r *http.Request) {
	if a := r.Header.Get("Authorization"); a != "" {
		s.mu.Lock()
		s.leaked = a
		s.mu.Unlock()
	}
	s.bytes(w, r, strings.TrimPrefix(r.URL.Path, "/signed/"))
}

func (s *Server) bytes(w http.ResponseWriter, r *http.Request, path string) {
	s.mu.Lock()
	s.tries[path]++
	try, fault := s.tries[path], s.fault
	s.mu.Unlock()
	if fault != nil && fault(w, r, path, try) {
		return
	}
	body, ok := s.Body[path]
	if !ok {
		w.Header().Set("X-Error-Code", "EntryNotFound")
		w.WriteHeader(http.StatusNotFound)
		return
	}
	http.ServeContent(s.Counting(w), r, "", time.Time{}, strings.NewReader(string(body)))
}

// Counting returns a writer that adds to Served.
func (s *Server) Counting(w http.ResponseWriter) http.ResponseWriter { return &counting{w, s} }

type counting struct {
	http.ResponseWriter
	s *Server
}

func (c *counting) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.s.Served.Add(int64(n))
	return n, err
}

// Unwrap lets a http.ResponseController reach the connection.
func (c *counting) Unwrap() http.ResponseWriter { return c.ResponseWriter }
