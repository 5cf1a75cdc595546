package kernels

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

var update = flag.Bool("update", false, "compile the kernels and rewrite ptx/")

// The compiler: Debian's clang-19, which needs no toolkit. ISA 7.8 asks for driver 520, ISA 8.0 for driver 525.
const clang = "clang-19"

var (
	flags = []string{
		"-x", "cuda", "--cuda-device-only", "-nocudainc", "-nocudalib", "-S", "-O3", "-ffp-contract=off", "-std=c++17", "-Wall", "-Werror", "-I..", "-I.",
	}
	baseline = []string{"--cuda-gpu-arch=sm_80", "--cuda-feature=+ptx78"}
	later    = []string{"--cuda-gpu-arch=sm_90", "--cuda-feature=+ptx80"}
	hopper   = []string{"--cuda-gpu-arch=sm_90a", "--cuda-feature=+ptx80"}
)

const manifestPath = "ptx/manifest.txt"

func flagsOf(source string) []string {
	switch variantOf(source) {
	case only90:
		return append(slices.Clone(flags), hopper...)
	case since90:
		return append(slices.Clone(flags), later...)
	}
	return append(slices.Clone(flags), baseline...)
}

// variantOf returns the mark of a file NAME.MARK.cu or .ptx, empty without one.
func variantOf(path string) string {
	return filepath.Ext(strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)))
}

func resultOf(source string) string { return "ptx/" + strings.TrimSuffix(source, ".cu") + ".ptx" }

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s: no files (%v)", pattern, err)
	}
	return paths
}

// sources are all files that a kernel is made of.
func sources(t *testing.T) []string {
	return slices.Concat(glob(t, "*.cu"), glob(t, "*.cuh"), []string{"../args.h"})
}

func hash(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// version returns the compiler's, empty where there is none.
func version() string {
	out, err := exec.Command(clang, "--version").Output()
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line
}

// manifest says from what, with what and how ptx/ was made.
func manifest(t *testing.T, compiler string) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("Made by `make ptx`; do not edit.\n\n")
	fmt.Fprintf(&b, "compiler %s\n", compiler)
	for _, name := range []string{"NAME.cu", "NAME" + since90 + ".cu", "NAME" + only90 + ".cu"} {
		fmt.Fprintf(&b, "flags    %s %s\n", name, strings.Join(flagsOf(name), " "))
	}
	b.WriteString("\n")
	for _, path := range sources(t) {
		fmt.Fprintf(&b, "source   %s %s\n", hash(t, path), path)
	}
	b.WriteString("\n")
	for _, path := range glob(t, "*.cu") {
		fmt.Fprintf(&b, "result   %s %s\n", hash(t, resultOf(path)), resultOf(path))
	}
	return b.String()
}

// compile makes PTX of a source. The result depends on nothing but the sources, flags and compiler.
func compile(source string) ([]byte, error) {
	out := new(bytes.Buffer)
	problems := new(bytes.Buffer)
	cmd := exec.Command(clang, append(flagsOf(source), "-o", "-", source)...)
	cmd.Stdout, cmd.Stderr = out, problems
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", source, err, problems)
	}
	return out.Bytes(), nil
}

// compileAll compiles every module, two at a time.
func compileAll(t *testing.T) map[string][]byte {
	t.Helper()
	var (
		mu      sync.Mutex
		results = map[string][]byte{}
		group   sync.WaitGroup
		slots   = make(chan struct{}, 2)
	)
	for _, source := range glob(t, "*.cu") {
		group.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			ptx, err := compile(source)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			results[resultOf(source)] = ptx
		})
	}
	group.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return results
}

func read(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; run make ptx", err)
	}
	return string(raw)
}

// What is committed belongs together, on any machine: sources, results, flags, and no other files.
func TestManifest(t *testing.T) {
	if *update {
		rewrite(t)
	}
	got := read(t, manifestPath)
	line, _, _ := strings.Cut(got[strings.Index(got, "compiler ")+len("compiler "):], "\n")
	if want := manifest(t, line); got != want {
		t.Errorf("%s does not fit the files; run make ptx\ngot  %s\nwant %s", manifestPath, got, want)
	}
	var want []string
	for _, source := range glob(t, "*.cu") {
		want = append(want, resultOf(source))
	}
	if got := glob(t, "ptx/*.ptx"); !slices.Equal(got, want) {
		t.Errorf("ptx/ has %v, the sources make %v; run make ptx", got, want)
	}
}

// The committed PTX is what the committed sources give. It needs the compiler that made it.
func TestCompileAgain(t *testing.T) {
	compiler := version()
	if !strings.Contains(read(t, manifestPath), "compiler "+compiler+"\n") || compiler == "" {
		t.Skipf("the PTX was not compiled again: %s here is %q; TestManifest compared the hashes", clang, compiler)
	}
	for path, ptx := range compileAll(t) {
		if got := read(t, path); got != string(ptx) {
			t.Errorf("%s is not what its source gives now; run make ptx", path)
		}
	}
}

var (
	declared = regexp.MustCompile(`(?m)^KERNEL(?:_RESIDENT)?\((\w+),`)
	entry    = regexp.MustCompile(`(?m)^\s*\.(?:visible|weak) \.entry (\w+)\(`)
)

func names(pattern *regexp.Regexp, text string) []string {
	var found []string
	for _, match := range pattern.FindAllStringSubmatch(text, -1) {
		found = append(found, match[1])
	}
	slices.Sort(found)
	return found
}

// Every KERNEL of a module can be looked up in each of its variants, and nothing else.
func TestEntries(t *testing.T) {
	for _, path := range glob(t, "ptx/*.ptx") {
		variant := variantOf(path)
		module := strings.TrimSuffix(strings.TrimSuffix(filepath.Base(path), ".ptx"), variant)
		want := names(declared, read(t, module+".cu"))
		if got := names(entry, read(t, path)); !slices.Equal(got, want) || len(want) == 0 {
			t.Errorf("%s has the entries %v, its source the kernels %v", path, got, want)
		}
	}
}

// The driver that is asked for (525) takes PTX up to ISA 8.0.
func TestTargets(t *testing.T) {
	for _, path := range glob(t, "ptx/*.ptx") {
		version, target := ".version 7.8\n", ".target sm_80\n"
		switch variantOf(path) {
		case only90:
			version, target = ".version 8.0\n", ".target sm_90a\n"
		case since90:
			version, target = ".version 8.0\n", ".target sm_90\n"
		}
		if ptx := read(t, path); !strings.Contains(ptx, version) || !strings.Contains(ptx, target) {
			t.Errorf("%s: want %q and %q", path, version, target)
		}
	}
}

// Each device gets the newest variant that it can run.
func TestVariants(t *testing.T) {
	for _, c := range []struct {
		module       string
		major, minor int
		target       string
	}{
		{"read", 8, 0, "sm_80"}, {"read", 9, 0, "sm_80"}, {"norm", 8, 9, "sm_80"}, {"norm", 9, 0, "sm_90"}, {"norm", 12, 0, "sm_90"},
	} {
		ptx, err := PTX(c.module, c.major, c.minor)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(ptx, []byte(".target "+c.target+"\n")) || Waits(ptx) != (c.target != "sm_80") {
			t.Errorf("%s for %d.%d is not for %s, or waits when it should not (%v)", c.module, c.major, c.minor, c.target, Waits(ptx))
		}
	}
}

func TestPTXKnowsItsModules(t *testing.T) {
	if ptx, err := PTX("read", 9, 0); err != nil || !bytes.Contains(ptx, []byte(".entry read(")) {
		t.Errorf("got %d bytes, %v; 9.0 must fall back to the baseline", len(ptx), err)
	}
	if _, err := PTX("../read", 8, 0); err == nil || !strings.Contains(err.Error(), `"../read"`) {
		t.Errorf("got %v, want an error that names the module", err)
	}
}

func rewrite(t *testing.T) {
	t.Helper()
	compiler := version()
	if compiler == "" {
		t.Fatalf("%s is missing; install it (Debian: apt-get install clang-19)", clang)
	}
	results := compileAll(t)
	if err := os.MkdirAll("ptx", 0o755); err != nil {
		t.Fatal(err)
	}
	old, _ := filepath.Glob("ptx/*.ptx")
	for _, path := range old {
		if _, ok := results[path]; !ok {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
	}
	for path, ptx := range results {
		write(t, path, ptx)
	}
	write(t, manifestPath, []byte(manifest(t, compiler)))
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
}
