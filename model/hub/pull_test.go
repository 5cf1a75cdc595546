package hub

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"peregrine/model/hub/hubtest"
)

var wanted = []string{"config.json", "tokenizer.json", "model.safetensors"}

func TestPullBringsWhatIsNeededOnce(t *testing.T) {
	s := serve(t, folderFiles())
	var last Progress
	k := Cache{Dir: t.TempDir()}
	p, err := s.client().Pull(t.Context(), k, Name{Repo: "o/n"}, nil, func(p Progress) { last = p })
	if err != nil {
		t.Fatal(err)
	}
	s.right(k, wanted...)
	if p.Path != k.repo(Name{Repo: "o/n"}).snapshot(commitA) || last.Done != last.Total || last.Total != p.Bytes || p.Bytes < 3<<20 {
		t.Errorf("got %+v, progress %+v", p, last)
	}
	for i, token := range s.Tokens() {
		if token != "Bearer hf_secret" {
			t.Errorf("request %d to the hub had %q", i, token)
		}
	}
	served := s.Served.Load()
	if p, err = s.client().Pull(t.Context(), k, Name{Repo: "o/n"}, nil, nil); err != nil || p.Bytes != 0 || s.Served.Load() != served {
		t.Errorf("again: got %+v, %v and %d bytes more", p, err, s.Served.Load()-served)
	}
	// A read-only cache that has it all is enough.
	for _, dir := range []string{"", "refs", "blobs", "snapshots"} {
		if err := os.Chmod(filepath.Join(k.repo(Name{Repo: "o/n"}).dir, dir), 0o555); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Chmod(filepath.Join(k.repo(Name{Repo: "o/n"}).dir, dir), 0o755) })
	}
	if _, err = s.client().Pull(t.Context(), k, Name{Repo: "o/n"}, nil, nil); err != nil {
		t.Errorf("from a read-only cache: %v", err)
	}
}

// cut closes the connection.
func cut(http.ResponseWriter) { panic(http.ErrAbortHandler) }

// Each fault passes, and the cache is right afterwards.
func TestPullOutlivesFaults(t *testing.T) {
	files := func() map[string]string {
		f := folderFiles()
		f["model.safetensors"] = string(hubtest.Weights(piece + 5<<20)) // more than one request
		return f
	}
	const weightsFile = "model.safetensors"
	cases := map[string]func(s *server){
		"connections cut in the middle": func(s *server) {
			s.SetFault(func(w http.ResponseWriter, r *http.Request, path string, try int) bool {
				if path != weightsFile || try > 6 {
					return false
				}
				http.ServeContent(&shortened{w, 1 << 20}, r, "", time.Time{}, strings.NewReader(string(s.Body[path])))
				return true
			})
		},
		"connections cut before a byte": func(s *server) {
			s.SetFault(func(w http.ResponseWriter, _ *http.Request, _ string, try int) bool {
				if try <= 2 {
					cut(w)
				}
				return false
			})
		},
		"ranges ignored": func(s *server) {
			s.SetFault(func(_ http.ResponseWriter, r *http.Request, _ string, _ int) bool {
				r.Header.Del("Range")
				return false
			})
		},
		"ranges ignored and cut": func(s *server) {
			s.SetFault(func(w http.ResponseWriter, r *http.Request, path string, try int) bool {
				r.Header.Del("Range")
				if path != weightsFile || try > 4 {
					return false
				}
				http.ServeContent(&shortened{w, 1 << 20}, r, "", time.Time{}, strings.NewReader(string(s.Body[path])))
				return true
			})
		},
		"rate limit with Retry-After": func(s *server) {
			s.SetFault(func(w http.ResponseWriter, _ *http.Request, _ string, try int) bool {
				if try > 1 {
					return false
				}
				w.Header().Set("Retry-After", time.Now().UTC().Format(http.TimeFormat)) // at once
				w.WriteHeader(http.StatusTooManyRequests)
				return true
			})
		},
		"server errors": func(s *server) {
			s.SetFault(func(w http.ResponseWriter, _ *http.Request, _ string, try int) bool {
				if try <= 3 {
					w.WriteHeader([]int{500, 503, 408}[try-1])
				}
				return try <= 3
			})
		},
		"a signed address that runs out": func(s *server) {
			s.SetFault(func(w http.ResponseWriter, _ *http.Request, path string, try int) bool {
				if path == weightsFile && try == 1 {
					w.WriteHeader(http.StatusForbidden)
					return true
				}
				return false
			})
		},
		"an API that fails twice": func(s *server) {
			var n atomic.Int32
			s.Gate = func(w http.ResponseWriter, _ *http.Request) bool {
				fails := n.Add(1) <= 2
				if fails {
					w.WriteHeader(http.StatusBadGateway)
				}
				return fails
			}
		},
		"a repository that was renamed": func(s *server) {
			s.Gate = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Query().Has("moved") || !strings.HasPrefix(r.URL.Path, "/api/models/o/n/revision") {
					return false
				}
				http.Redirect(w, r, r.URL.Path+"?moved", http.StatusTemporaryRedirect)
				return true
			}
		},
		"a server that goes silent": func(s *server) {
			s.SetFault(func(_ http.ResponseWriter, r *http.Request, path string, try int) bool {
				if path == weightsFile && try == 1 {
					<-r.Context().Done() // until the client gives up
					return true
				}
				return false
			})
		},
	}
	for name, arrange := range cases {
		t.Run(name, func(t *testing.T) {
			s := serve(t, files())
			arrange(s)
			c := s.client()
			c.Silence = 2 * time.Second // one case waits for it; a busy machine may need a while for every answer
			k := Cache{Dir: t.TempDir()}
			if _, err := c.Pull(t.Context(), k, Name{Repo: "o/n"}, nil, nil); err != nil {
				t.Fatal(err)
			}
			s.right(k, wanted...)
		})
	}
}

// shortened cuts the connection after so many bytes.
type shortened struct {
	http.ResponseWriter
	left int
}

func (w *shortened) Write(p []byte) (int, error) {
	if len(p) > w.left {
		_, _ = w.ResponseWriter.Write(p[:w.left])
		_ = http.NewResponseController(w.ResponseWriter).Flush()
		cut(w)
	}
	w.left -= len(p)
	return w.ResponseWriter.Write(p)
}

// Each fault stays, the error names it, and nothing is found in the cache.
func TestPullRefuses(t *testing.T) {
	status := func(code int, name, message string) func(s *server) {
		return func(s *server) {
			s.Gate = func(w http.ResponseWriter, r *http.Request) bool {
				if strings.HasPrefix(r.URL.Path, "/api") && name == "GatedRepo" {
					return false // the listing of a gated model is public
				}
				w.Header().Set("X-Error-Code", name)
				w.Header().Set("X-Error-Message", message)
				w.WriteHeader(code)
				return true
			}
		}
	}
	entry := func(change map[string]any) func(s *server) {
		return func(s *server) {
			for _, e := range s.Tree {
				if e["path"] == "model.safetensors" {
					for key, v := range change {
						e[key] = v
					}
				}
			}
		}
	}
	cases := map[string]struct {
		arrange func(s *server)
		want    string
	}{
		"wrong bytes":                        {func(s *server) { s.Body["model.safetensors"][1<<20] ^= 1 }, "model.safetensors has the hash"},
		"wrong bytes of a small file":        {func(s *server) { s.Body["config.json"][3] ^= 1 }, "config.json has the hash"},
		"a file that is longer than listed":  {func(s *server) { s.Body["model.safetensors"] = hubtest.Weights(3<<20 + 1) }, "sends 3145729 bytes, the listing says 3145728"},
		"a file that is shorter than listed": {func(s *server) { s.Body["model.safetensors"] = hubtest.Weights(3<<20 - 1) }, "sends 3145727 bytes, the listing says 3145728"},
		"a file that always ends early": {func(s *server) {
			s.SetFault(func(w http.ResponseWriter, r *http.Request, path string, _ int) bool {
				if path != "model.safetensors" || !strings.HasSuffix(r.Header.Get("Range"), fmt.Sprint("-", 3<<20-1)) && r.Header.Get("Range") != "" {
					return false
				}
				w.Header().Set("Content-Length", fmt.Sprint(3<<20))
				cut(w)
				return true
			})
		}, "tried 7 times"},
		"a range that was not asked for": {func(s *server) {
			s.SetFault(func(w http.ResponseWriter, _ *http.Request, path string, _ int) bool {
				if path != "model.safetensors" {
					return false
				}
				w.Header().Set("Content-Range", "bytes 5-9/3145728")
				w.WriteHeader(http.StatusPartialContent)
				return true
			})
		}, `sends the range "bytes 5-9/3145728", bytes 0 to 3145727 were asked for`},
		"a path that leaves the folder": {entry(map[string]any{"path": "../../../../evil.safetensors"}), "not a path that stays inside its folder"},
		"an absolute path":              {entry(map[string]any{"path": "/etc/evil.safetensors"}), "not a path that stays inside its folder"},
		"a path with a backslash":       {entry(map[string]any{"path": `..\evil.safetensors`}), "not a path that stays inside its folder"},
		"a hash that is a path":         {entry(map[string]any{"lfs": map[string]any{"oid": "../../../evil", "size": 5}}), "which is none"},
		"a negative size":               {entry(map[string]any{"lfs": map[string]any{"oid": strings.Repeat("0", 64), "size": -5}}), "-5 bytes"},
		"more bytes than any disk has":  {entry(map[string]any{"lfs": map[string]any{"oid": strings.Repeat("0", 64), "size": int64(1) << 60}}), "GB are free in"},
		"a commit that is a path":       {func(s *server) { s.Commit = "../../x" }, "answers without a commit"},
		"a page of a proxy": {func(s *server) {
			s.Gate = func(w http.ResponseWriter, _ *http.Request) bool { fmt.Fprint(w, "<html>log in"); return true }
		}, "is it a model hub, or a proxy's page?"},
		"a listing that goes on elsewhere": {func(s *server) {
			s.Gate = func(w http.ResponseWriter, r *http.Request) bool {
				if strings.Contains(r.URL.Path, "/tree/") {
					w.Header().Set("Link", `<`+s.Files.URL+`/more>; rel="next"`)
					fmt.Fprint(w, "[]")
					return true
				}
				return false
			}
		}, "continues its listing on another host"},
		"a redirect that never ends": {func(s *server) {
			s.Gate = func(w http.ResponseWriter, r *http.Request) bool {
				http.Redirect(w, r, r.URL.Path, http.StatusFound)
				return true
			}
		}, "redirects more than 10 times"},
		"a redirect to a file": {func(s *server) {
			s.Gate = func(w http.ResponseWriter, r *http.Request) bool {
				http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
				return true
			}
		}, "which is not followed"},
		"gated":         {status(403, "GatedRepo", "Access is restricted"), "this model is gated: accept its terms on http://"},
		"no repository": {status(401, "RepoNotFound", ""), "no such repository on"},
		"bad token":     {status(401, "", "Invalid user token"), "refuses the token of HF_TOKEN: Invalid user token"},
		"forbidden":     {status(403, "", "no\u202e way"), "forbids it (no way)"},
		"no revision":   {status(404, "RevisionNotFound", ""), `no revision "main"`},
		"rate limit for an hour": {func(s *server) {
			s.Gate = func(w http.ResponseWriter, _ *http.Request) bool {
				w.Header().Set("Retry-After", "3600")
				w.WriteHeader(http.StatusTooManyRequests)
				return true
			}
		}, "takes no more requests for now (1h0m0s)"},
		"a file that is not there": {func(s *server) { delete(s.Body, "config.json") }, "config.json is listed, but"},
		"pickles alone": {func(s *server) {
			s.Tree = slices.DeleteFunc(s.Tree, func(e map[string]any) bool { return e["path"] == "model.safetensors" })
		}, "holds pickle weights alone (pytorch_model.bin)"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := serve(t, folderFiles())
			c.arrange(s)
			k := Cache{Dir: t.TempDir()}
			_, err := s.client().Pull(t.Context(), k, Name{Repo: "o/n"}, nil, nil)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Fatalf("got %v, want one line with %q", err, c.want)
			}
			if strings.Contains(err.Error(), "secret") || s.Leaked() != "" {
				t.Errorf("the token or a signed address got out: %v, %q", err, s.Leaked())
			}
			nothing(t, k)
			if out, _ := filepath.Glob(filepath.Join(filepath.Dir(k.Dir), "*evil*")); len(out) > 0 {
				t.Errorf("%v was written outside the cache", out)
			}
		})
	}
}

func TestPullOffline(t *testing.T) {
	s := serve(t, folderFiles())
	k, first := pulled(t, s)
	offline := &Client{Endpoint: s.Hub.URL, Offline: "HF_HUB_OFFLINE is set"}
	s.Gate = func(http.ResponseWriter, *http.Request) bool { t.Error("the hub was asked"); return false }
	p, err := offline.Pull(t.Context(), k, Name{Repo: "o/n"}, nil, nil)
	if err != nil || p.Path != first.Path || !strings.Contains(p.Note, "HF_HUB_OFFLINE is set") {
		t.Errorf("got %+v, %v", p, err)
	}
	if _, err = offline.Pull(t.Context(), k, Name{Repo: "o/other"}, nil, nil); err == nil || !strings.Contains(err.Error(), "HF_HUB_OFFLINE") {
		t.Errorf("got %v", err)
	}
	// A hub that cannot be reached is no reason not to use what is there.
	s.Hub.Close()
	c := s.client()
	if p, err = c.Pull(t.Context(), k, Name{Repo: "o/n"}, nil, nil); err != nil || p.Path != first.Path || p.Note == "" {
		t.Errorf("got %+v, %v", p, err)
	}
	if _, err = c.Pull(t.Context(), k, Name{Repo: "o/other"}, nil, nil); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("got %v", err)
	}
}

func TestPullThroughAProxy(t *testing.T) {
	s := serve(t, folderFiles())
	var asked atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.URL.Host != "hub.invalid" {
			s.Files.Config.Handler.ServeHTTP(w, r)
			return
		}
		s.Hub.Config.Handler.ServeHTTP(w, r)
	}))
	defer proxy.Close()
	to, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	c := s.client()
	c.Endpoint, c.Transport = "http://hub.invalid/", &http.Transport{Proxy: http.ProxyURL(to)}
	s.Hub.URL = "http://hub.invalid" // the pages' links
	k := Cache{Dir: t.TempDir()}
	if _, err := c.Pull(t.Context(), k, Name{Repo: "o/n"}, nil, nil); err != nil {
		t.Fatal(err)
	}
	if s.right(k, wanted...); asked.Load() < 5 {
		t.Errorf("the proxy was asked %d times", asked.Load())
	}
}

func TestPullWithoutLinks(t *testing.T) {
	s := serve(t, folderFiles())
	k, p := pulled(t, s)
	// As huggingface_hub leaves it where there are no links: plain files.
	r := k.repo(Name{Repo: "o/n"})
	for _, f := range wanted {
		target, err := filepath.EvalSymlinks(r.file(commitA, f))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(target, r.file(commitA, f)); err != nil {
			t.Fatal(err)
		}
	}
	served := s.Served.Load()
	again, err := s.client().Pull(t.Context(), k, Name{Repo: "o/n"}, nil, nil)
	if err != nil || again.Path != p.Path || s.Served.Load() != served {
		t.Errorf("got %+v, %v and %d bytes", again, err, s.Served.Load()-served)
	}
}
