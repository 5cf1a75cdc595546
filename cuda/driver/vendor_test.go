package driver

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// vendorHeader returns the folder of the vendor's cuda.h, version 12. Without a toolkit: `pip download --no-deps
// nvidia-cuda-runtime-cu12`, unzip, and PEREGRINE_CUDA_INCLUDE=…/nvidia/cuda_runtime/include.
func vendorHeader(t *testing.T) string {
	t.Helper()
	folder := os.Getenv("PEREGRINE_CUDA_INCLUDE")
	if folder == "" {
		folder = "/usr/local/cuda/include"
	}
	raw, err := os.ReadFile(filepath.Join(folder, "cuda.h"))
	if err != nil {
		t.Skipf("stub/cuda.h was NOT compared with the vendor's: %v; set PEREGRINE_CUDA_INCLUDE to a folder with the cuda.h of CUDA 12 (PyPI: nvidia-cuda-runtime-cu12)", err)
	}
	if !bytes.Contains(raw, []byte("#define CUDA_VERSION 12")) {
		t.Skipf("stub/cuda.h was NOT compared with the vendor's: %s/cuda.h is not of CUDA 12", folder)
	}
	return folder
}

var (
	constant  = regexp.MustCompile(`\b(CU(?:DA)?_[A-Z0-9_]+) (?:=|\d)`)
	structure = regexp.MustCompile(`(?s)typedef struct \{\n(.*?)\n\} (\w+);`)
	field     = regexp.MustCompile(`\**(\w+)(?:\[\d+\])?[,;]`)
	handle    = regexp.MustCompile(`(?m)^typedef [^{}()]* \*?(\w+);$`)
)

// probe is a C program that prints every constant, size and offset that the stub's header has, with whatever cuda.h it meets.
func probe(t *testing.T) string {
	t.Helper()
	header, err := os.ReadFile("stub/cuda.h")
	if err != nil {
		t.Fatal(err)
	}
	values, err := os.ReadFile("stub/values.h")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("#include <cuda.h>\n#include <stdio.h>\n#include <stddef.h>\nint main(void) {\n")
	lines := 0
	show := func(name, expression string) {
		lines++
		fmt.Fprintf(&b, "printf(\"%s %%lld\\n\", (long long)%s);\n", name, expression)
	}
	for _, text := range []string{string(values), string(header)} {
		for _, match := range constant.FindAllStringSubmatch(text, -1) {
			if name := match[1]; name != "CUDA_VERSION" {
				show(name, name)
			}
		}
	}
	for _, match := range structure.FindAllStringSubmatch(string(header), -1) {
		show(match[2], "sizeof("+match[2]+")")
		for _, f := range field.FindAllStringSubmatch(match[1], -1) {
			show(match[2]+"."+f[1], fmt.Sprintf("offsetof(%s, %s)", match[2], f[1]))
		}
	}
	for _, match := range handle.FindAllStringSubmatch(string(header), -1) {
		show(match[1], "sizeof("+match[1]+")")
	}
	b.WriteString("return 0; }\n")
	if lines < 350 {
		t.Fatalf("found %d constants, sizes and offsets in stub/: the patterns of this test no longer fit", lines)
	}
	return b.String()
}

func compileC(t *testing.T, include, name, program string) []byte {
	t.Helper()
	folder := t.TempDir()
	source, binary := filepath.Join(folder, name+".c"), filepath.Join(folder, name)
	if err := os.WriteFile(source, []byte(program), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cc", "-std=gnu11", "-I", include, "-I", "stub", "-o", binary, source).CombinedOutput(); err != nil {
		t.Fatalf("%s with %s/cuda.h: %v\n%s", name, include, err, out)
	}
	out, err := exec.Command(binary).Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Constants, sizes and offsets of the stub's cuda.h are the vendor's.
func TestStubHasTheVendorsValues(t *testing.T) {
	vendor := vendorHeader(t)
	program := probe(t)
	got := strings.Split(string(compileC(t, "stub", "values", program)), "\n")
	want := strings.Split(string(compileC(t, vendor, "values", program)), "\n")
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got %s, want %s", got[i], want[i])
		}
	}
	t.Logf("%d values are those of %s", len(want)-1, vendor)
}

// Functions of the stub have the names and parameters of the vendor's: C refuses two declarations that differ.
func TestStubHasTheVendorsFunctions(t *testing.T) {
	vendor := vendorHeader(t)
	var b strings.Builder
	b.WriteString("#include <cuda.h>\n#define CU0(name) CUresult cu##name(void);\n#define CU1(name, ...) CUresult cu##name(__VA_ARGS__);\n")
	for _, n := range []int{2, 3, 4, 5, 6, 8, 11} {
		fmt.Fprintf(&b, "#define CU%d CU1\n", n)
	}
	b.WriteString("#include \"functions.h\"\nint main(void) { return 0; }\n")
	compileC(t, vendor, "functions", b.String())
	// C takes a declaration of a name that the vendor does not have, so names are looked up.
	header, err := os.ReadFile(filepath.Join(vendor, "cuda.h"))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := os.ReadFile("stub/functions.h")
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range regexp.MustCompile(`(?m)^CU\d+\((\w+)`).FindAllSubmatch(rows, -1) {
		if !regexp.MustCompile(`\bcu` + string(match[1]) + `\b`).Match(header) {
			t.Errorf("the vendor has no cu%s", match[1])
		}
	}
}
