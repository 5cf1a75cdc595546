package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// DefaultEndpoint is the hub that is asked where no other is named.
const DefaultEndpoint = "https://huggingface.co"

// Client talks to a hub. Its zero value asks DefaultEndpoint without a token.
type Client struct {
	Endpoint    string            // scheme, host and perhaps a path; "" for DefaultEndpoint
	Token       string            // sent to the endpoint's own scheme and host alone; "" for none
	TokenSource string            // where the token comes from, for messages
	Offline     string            // why nothing may be asked, such as "HF_HUB_OFFLINE is set"; "" to ask
	Transport   http.RoundTripper // knows proxies and certificates; nil for http.DefaultTransport
	Silence     time.Duration     // how long a server may say nothing; 0 for 10 s
	Connections int               // at once; 0 for 8
	UserAgent   string

	step time.Duration // the first pause before trying again; 0 for half a second
}

func (c *Client) endpoint() string {
	if c.Endpoint == "" {
		return DefaultEndpoint
	}
	return strings.TrimRight(c.Endpoint, "/")
}

// Check refuses an endpoint that is no address of a server.
func (c *Client) Check() error {
	u, err := url.Parse(c.endpoint())
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("hub: the endpoint is %q; want an address such as %s", c.endpoint(), DefaultEndpoint)
	}
	return nil
}

// host names the hub in messages.
func (c *Client) host() string {
	_, host, _ := strings.Cut(c.endpoint(), "://")
	return host
}

func (c *Client) tokenSource() string {
	if c.TokenSource == "" {
		return "this run"
	}
	return c.TokenSource
}

// own reports whether an address is the endpoint's scheme, host and port: where the token may go.
func (c *Client) own(u *url.URL) bool {
	e, err := url.Parse(c.endpoint())
	return err == nil && e.Scheme == u.Scheme && strings.EqualFold(e.Host, u.Host)
}

const (
	defaultSilence     = 10 * time.Second
	defaultConnections = 8
	defaultStep        = 500 * time.Millisecond
	maxRedirects       = 10
	// maxTries bounds attempts between which nothing came: with pauses that double from half a second, about half a minute.
	maxTries = 7
	// longestPause bounds a pause; a server that wants a longer one is taken at its word, and the pull ends.
	longestPause = 90 * time.Second
)

// response is a successful answer whose body gives up when the server says nothing for too long.
type response struct {
	*http.Response
	silence time.Duration
	timer   *time.Timer
	cancel  context.CancelCauseFunc
	ctx     context.Context
}

func (r *response) Read(p []byte) (int, error) {
	r.timer.Reset(r.silence)
	n, err := r.Body.Read(p)
	r.timer.Stop() // what the reader does with it may take its time
	if err != nil && !errors.Is(err, io.EOF) {
		err = cause(r.ctx, err)
	}
	return n, err
}

// silentError says that a server sent nothing for so long.
type silentError time.Duration

func (e silentError) Error() string {
	return fmt.Sprintf("the server says nothing for %v", time.Duration(e))
}

// cause returns why a request ended: silence, the end of ctx, else err.
func cause(ctx context.Context, err error) error {
	var silent silentError
	switch {
	case errors.As(context.Cause(ctx), &silent):
		return silent
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return err
}

// close gives the connection back.
func (r *response) close() {
	r.timer.Stop()
	_ = r.Body.Close() // nothing more is wanted of it
	r.cancel(nil)
}

// get fetches an address with additional headers. It follows redirects by itself, since net/http would take the token along to
// subdomains of the host; a redirect from https to http is refused. Every other status than 200 and 206 is a *statusError.
func (c *Client) get(ctx context.Context, address string, header http.Header) (*response, error) {
	silence := c.Silence
	if silence <= 0 {
		silence = defaultSilence
	}
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(silence, func() { cancel(silentError(silence)) })
	r, err := c.follow(ctx, address, header)
	if err != nil {
		timer.Stop()
		err = cause(ctx, err)
		cancel(nil)
		return nil, err
	}
	return &response{Response: r, silence: silence, timer: timer, cancel: cancel, ctx: ctx}, nil
}

// follow sends a request and those that redirects ask for.
func (c *Client) follow(ctx context.Context, address string, header http.Header) (*http.Response, error) {
	client := &http.Client{
		Transport:     c.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	for range maxRedirects {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
		if err != nil {
			return nil, permanent(fmt.Errorf("%.200q is no address", address))
		}
		for key, values := range header {
			req.Header[key] = values
		}
		req.Header.Set("Accept-Encoding", "identity") // sizes and ranges are those of the file
		req.Header.Set("User-Agent", c.UserAgent)
		if c.Token != "" && c.own(req.URL) {
			req.Header.Set("Authorization", "Bearer "+c.Token)
		}
		r, err := client.Do(req)
		if err != nil {
			return nil, withoutAddress(err)
		}
		switch r.StatusCode {
		case http.StatusOK, http.StatusPartialContent:
			return r, nil
		case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
			_ = r.Body.Close() // its address is in the header
			next, err := req.URL.Parse(r.Header.Get("Location"))
			if err != nil || next.Host == "" || next.Scheme != "https" && (next.Scheme != "http" || req.URL.Scheme == "https") {
				return nil, permanent(fmt.Errorf("%s redirects to %.80q, which is not followed", req.URL.Host, r.Header.Get("Location")))
			}
			address = next.String()
		default:
			_ = r.Body.Close() // the status and the headers say it
			return nil, newStatusError(r, c.own(req.URL))
		}
	}
	return nil, permanent(fmt.Errorf("%s redirects more than %d times", c.host(), maxRedirects))
}

// withoutAddress drops the address from an error of net/http: it may be signed, and the message names the file.
func withoutAddress(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// statusError is an answer that is no success.
type statusError struct {
	code    int
	name    string        // X-Error-Code
	message string        // X-Error-Message, printable
	host    string        // that gave the answer
	own     bool          // the host is the endpoint's
	after   time.Duration // when to try again; 0 where it does not say
}

func newStatusError(r *http.Response, own bool) *statusError {
	e := &statusError{code: r.StatusCode, name: r.Header.Get("X-Error-Code"), host: r.Request.URL.Host, own: own}
	const most = 200
	e.message = strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return -1
		}
		return c
	}, r.Header.Get("X-Error-Message"))
	e.message = strings.ToValidUTF8(e.message[:min(len(e.message), most)], "")
	after := r.Header.Get("Retry-After")
	if seconds, err := strconv.Atoi(after); err == nil && seconds > 0 {
		e.after = time.Duration(min(seconds, 1<<20)) * time.Second
	} else if at, err := http.ParseTime(after); err == nil {
		e.after = max(time.Until(at), 0)
	}
	return e
}

func (e *statusError) Error() string {
	return fmt.Sprintf("%s answers %d %s%s", e.host, e.code, strings.ToLower(http.StatusText(e.code)), e.because())
}

func (e *statusError) is(name string) bool { return e.name == name }

// because is what the hub says of itself.
func (e *statusError) because() string {
	if e.message == "" {
		return ""
	}
	return " (" + e.message + ")"
}

func (e *statusError) wait() string {
	if e.after == 0 {
		return ""
	}
	return fmt.Sprintf(" (%v)", e.after.Round(time.Second))
}

// passes reports whether the same request may succeed later.
func (e *statusError) passes() bool {
	switch e.code {
	case http.StatusRequestTimeout, http.StatusTooManyRequests:
		return true
	}
	return e.code >= http.StatusInternalServerError || !e.own // a signed address of another host runs out
}

// permanentError is one that trying again does not mend.
type permanentError struct{ error }

func (e permanentError) Unwrap() error { return e.error }

func permanent(err error) error { return permanentError{err} }

// retry calls try until it succeeds, ctx ends or trying again is no use: an error that stays, or maxTries in a row that made no
// progress. Between two tries it waits, as long as the server wants or twice as long as before.
func (c *Client) retry(ctx context.Context, try func(context.Context) (progress bool, err error)) error {
	step := c.step
	if step == 0 {
		step = defaultStep
	}
	for fruitless := 1; ; fruitless++ {
		progress, err := try(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var status *statusError
		isStatus := errors.As(err, &status)
		if errors.As(err, new(permanentError)) || isStatus && !status.passes() {
			return err
		}
		if progress {
			fruitless = 1
		}
		if fruitless == maxTries {
			return fmt.Errorf("%w (tried %d times)", err, maxTries)
		}
		pause := step << (fruitless - 1)
		pause += rand.N(pause/4 + 1)
		if isStatus && status.after > 0 {
			if pause = status.after; pause > longestPause {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}
