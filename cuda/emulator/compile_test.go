package emulator_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What a GPU's compiler refuses, or takes though no check could follow it, is refused here when a kernel is compiled.
func TestWhatDoesNotCompile(t *testing.T) {
	compiler := os.Getenv("CXX")
	if compiler == "" {
		compiler = "g++"
	}
	for what, body := range map[string]string{
		"nothing wrong":         "p[0] = q[0]; q = p; store16(p, load16(q + 4)); atomic_add(p + 1, 2); cast<float>(p)[1] = 2; cast<const float>(p + 1);",
		"write through const":   "q[0] = 1;",
		"const dropped":         "p = q;",
		"const dropped by cast": "cast<u32>(q);",
		"store through const":   "store16(q, load16(p));",
		"pointer of an element": "load16(&p[4]);",
		"atomic of an element":  "atomic_add(&p[4], 1);",
		"shared as global":      "SHARED(u32, s, 4); p = s;",
		"stream from shared":    "SHARED(u32, s, 4); load_stream(s);",
	} {
		source := filepath.Join(t.TempDir(), "kernel.cc")
		text := "#include \"emulated.hpp\"\nKERNEL(k, pg_read_args, 32) {\n  Global<u32> p = global<u32>(a.sum);\n  Global<const u32> q = p;\n  " + body + "\n}\n"
		if err := os.WriteFile(source, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		// The fifth line is the body.
		out, err := exec.Command(compiler, "-std=c++17", "-fsyntax-only", "-I.", "-I..", source).CombinedOutput()
		switch right := what == "nothing wrong"; {
		case right && err != nil:
			t.Errorf("%s: %s", what, out)
		case !right && (err == nil || !strings.Contains(string(out), "kernel.cc:5:")):
			t.Errorf("%s: want an error, got %v\n%s", what, err, out)
		}
	}
}
