//go:build cuda

package driver

// #include "native.h"
import "C"

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"unsafe"

	"gorgonia.org/cu"

	"peregrine/cuda/kernels"
)

// Handles of gorgonia.org/cu are structs of one C pointer, which not all of them show.
var (
	_ [0]struct{} = [unsafe.Sizeof(cu.Function{}) - unsafe.Sizeof(C.CUfunction(nil))]struct{}{}
	_ [0]struct{} = [unsafe.Sizeof(cu.CUContext{}) - unsafe.Sizeof(C.CUcontext(nil))]struct{}{}
)

func contextHandle(c *cu.CUContext) C.CUcontext { return *(*C.CUcontext)(unsafe.Pointer(c)) }

func functionHandle(f *cu.Function) C.CUfunction { return *(*C.CUfunction)(unsafe.Pointer(f)) }

// function is a kernel; it lives as long as the device.
type function struct {
	gpu      *gpu
	kernel   kernel
	waits    bool // see kernels.Waits
	function cu.Function
}

// Function compiles the module at its first use: some 0.3 s, or 1 ms when the driver has it in its cache. Who asks for a module
// that is there does not wait for one that is being compiled.
func (g *gpu) Function(module, name string) (Function, error) {
	m := g.module(module)
	if m.err != nil {
		return nil, m.err
	}
	g.modules.Lock()
	defer g.modules.Unlock()
	k := kernel{module, name}
	if f := g.known[k]; f != nil {
		return f, nil
	}
	f := &function{gpu: g, kernel: k, waits: m.waits}
	err := g.do(func() (err error) {
		f.function, err = m.module.Function(name)
		return err
	}, "cuModuleGetFunction(%s, %s)", module, name)
	if err != nil {
		return nil, err
	}
	g.known[k] = f
	return f, nil
}

var _ Compiler = (*gpu)(nil)

// Compile: the driver compiles one at a time, whoever asks.
func (g *gpu) Compile(modules []string) {
	g.compile.Go(func() {
		for _, name := range modules {
			g.module(name)
		}
	})
}

// module returns a module when it is compiled. One that failed is tried again by the next caller.
func (g *gpu) module(name string) *module {
	g.modules.Lock()
	m, ok := g.loaded[name]
	if !ok {
		m = &module{done: make(chan struct{})}
		g.loaded[name] = m
	}
	g.modules.Unlock()
	if ok {
		<-m.done
		return m
	}
	defer close(m.done)
	var ptx []byte
	if ptx, m.err = kernels.PTX(name, g.info.Major, g.info.Minor); m.err == nil {
		m.waits = kernels.Waits(ptx)
		m.module, m.err = g.build(name, ptx)
	}
	if m.err != nil {
		g.modules.Lock()
		delete(g.loaded, name)
		g.modules.Unlock()
	}
	return m
}

// build has the driver make machine code of PTX.
func (g *gpu) build(module string, ptx []byte) (m cu.Module, err error) {
	log := &cu.JITErrorLogBuffer{Buffer: make([]byte, 4096)}
	err = g.do(func() (err error) {
		m, err = cu.LoadDataEx(string(ptx), log)
		return err
	}, "cuModuleLoadDataEx(%s for %d.%d)", module, g.info.Major, g.info.Minor)
	runtime.KeepAlive(log) // cu hands the driver its address as a number
	if err != nil {
		if text, _, _ := bytes.Cut(log.Buffer, []byte{0}); len(text) > 0 {
			err = fmt.Errorf("%w: %s", err, strings.Join(strings.Fields(string(text)), " "))
		}
	}
	return m, err
}

func (f *function) SetShared(bytes int) error {
	return f.gpu.do(func() error {
		return native(C.cuFuncSetAttribute(functionHandle(&f.function), C.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, C.int(bytes)))
	}, "cuFuncSetAttribute(%s, %d bytes of shared memory)", f.kernel.name, bytes)
}

func (f *function) PreferShared() error {
	return f.gpu.do(func() error {
		return native(C.cuFuncSetAttribute(functionHandle(&f.function), C.CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT, 100)) // per cent
	}, "cuFuncSetAttribute(%s, all shared memory)", f.kernel.name)
}
