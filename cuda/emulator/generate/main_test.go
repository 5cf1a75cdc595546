package main

import (
	"os"
	"path/filepath"
	"testing"
)

const root = "../../.."

func TestEmulatorIsUpToDate(t *testing.T) {
	files, err := generated(root)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		if have, err := os.ReadFile(filepath.Join(root, emulator, name)); err != nil || string(have) != want {
			t.Errorf("%s/%s is not what the kernel sources ask for: go run ./cuda/emulator/generate (%v)", emulator, name, err)
		}
	}
	have, err := filepath.Glob(filepath.Join(root, emulator, "module_*.cc"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range have {
		if _, ok := files[filepath.Base(path)]; !ok {
			t.Errorf("%s has no kernel source: go run ./cuda/emulator/generate", path)
		}
	}
}

func TestWriteFollowsTheSources(t *testing.T) {
	root := t.TempDir()
	put := func(path, content string) {
		t.Helper()
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	hash := func() string {
		t.Helper()
		if err := write(root); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(root, emulator, "sources.h"))
		if err != nil {
			t.Fatal(err)
		}
		if tests, err := os.ReadFile(filepath.Join(root, emulator, "testkernels/sources.h")); err != nil || string(tests) != string(b) {
			t.Errorf("the test kernels' sources.h is %q, want %q (%v)", tests, b, err)
		}
		return string(b)
	}
	put("cuda/args.h", "")
	put("cuda/kernels/norm.cu", "1")
	put("cuda/kernels/norm.sm90a.cu", "1")
	put("cuda/kernels/reduce.cuh", "1")
	put("cuda/emulator/block.hpp", "1")
	put("cuda/emulator/module_old.cc", "")
	put("cuda/emulator/testkernels/sources.h", "")
	seen := map[string]bool{hash(): true}
	if _, err := os.Stat(filepath.Join(root, emulator, "module_old.cc")); err == nil {
		t.Error("a module without a source is left")
	}
	if _, err := os.Stat(filepath.Join(root, emulator, "module_norm.cc")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(root, emulator, "module_norm.sm90a.cc")); err == nil {
		t.Error("the emulator has a module for Hopper alone")
	}
	for _, changed := range []string{"cuda/args.h", "cuda/kernels/norm.cu", "cuda/kernels/reduce.cuh", "cuda/emulator/block.hpp"} {
		put(changed, "2")
		if h := hash(); seen[h] {
			t.Errorf("a change of %s does not show", changed)
		} else {
			seen[h] = true
		}
	}
}
