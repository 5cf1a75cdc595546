# Two commands do all: `make run` and `make test`. `make help` lists the rest.

SHELL := /bin/bash
GO    ?= go

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -X peregrine/ui/cli.version=$(VERSION)

TOKENIZERS  := github.com/daulet/tokenizers
LIBRARY     := model/tokenizer/lib/libtokenizers.a
BUILD       := .build
GOLANGCI    := $(BUILD)/bin/golangci-lint

# The stand-in for libcuda (cuda/driver/doc.go). Go's cache does not see a changed archive, so the folder has its hash.
STUB         := cuda/driver/stub
STAND_IN_DIR := $(BUILD)/cuda-$(shell cat $(STUB)/* | cksum | tr ' ' '-')
STAND_IN     := $(STAND_IN_DIR)/libcuda.a
export CGO_CFLAGS  := -O2 -g "-I$(CURDIR)/$(STUB)" $(CGO_CFLAGS)
export CGO_LDFLAGS := "-L$(CURDIR)/$(STAND_IN_DIR)" $(CGO_LDFLAGS)
# One build of the C code serves program, tests and linter alike: paths would tell them apart.
export GOFLAGS := -trimpath $(shell $(GO) env GOFLAGS)
TAGS := -tags cuda

# Pinned: a newer linter finds other things, and CI must not change by itself.
GOLANGCI_VERSION := v2.15.0

# Packages that hold fuzz targets are found, not listed.
FUZZTIME ?= 60s
TESTFLAGS ?=

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

.PHONY: run
run: build ## build everything, fetch the default model once, open the chat
	@bin/peregrine $(MODEL)

.PHONY: build
build: bin/peregrine ## build the program into bin/peregrine

# Go does not notice a changed static library: the binary goes whenever the library is made anew.
$(LIBRARY): go.mod
	@command -v cargo >/dev/null || { echo "make: cargo is missing; the tokenizer library needs Rust" >&2; exit 1; }
	$(GO) mod download $(TOKENIZERS)
	CARGO_TARGET_DIR="$(CURDIR)/$(BUILD)/cargo" cargo build --release --locked \
		--manifest-path "$$($(GO) list -m -f '{{.Dir}}' $(TOKENIZERS))/Cargo.toml"
	mkdir -p $(@D)
	cp $(BUILD)/cargo/release/libtokenizers.a $@
	strip --strip-debug $@ 2>/dev/null || strip -S $@
	rm -f bin/peregrine
	touch $@

$(STAND_IN):
	mkdir -p $(@D)
	$(CC) -std=gnu11 -O2 -fPIC -Wall -Wextra -c $(STUB)/stand_in.c -o $(@D)/stand_in.o
	ar rcs $@ $(@D)/stand_in.o

.PHONY: bin/peregrine
bin/peregrine: $(LIBRARY) $(STAND_IN)
	$(GO) build $(TAGS) -ldflags "$(LDFLAGS)" -o $@ .

.PHONY: model
model: build ## fetch the default model into the cache
	@bin/peregrine pull

.PHONY: test
test: model ## run every test that needs no GPU
	PEREGRINE_REQUIRE_MODEL=1 $(GO) test $(TAGS) -timeout 30m $(TESTFLAGS) ./...

.PHONY: race
race: model ## run the tests under the race detector
	PEREGRINE_REQUIRE_MODEL=1 $(GO) test $(TAGS) -race -short -shuffle=on -timeout 40m ./...

.PHONY: check
check: fmt-check vet lint tidy-check ## formatting, vet, lint, go.mod

.PHONY: fmt
fmt: $(GOLANGCI) ## format the Go code
	$(GOLANGCI) fmt

.PHONY: fmt-check
fmt-check: $(GOLANGCI) ## say what fmt would change
	$(GOLANGCI) fmt --diff

.PHONY: vet
vet: $(LIBRARY) $(STAND_IN) ## run go vet: with CUDA, without, and without cgo
	$(GO) vet $(TAGS) ./...
	$(GO) vet -tags cuda,emulator ./ui/cli
	$(GO) vet ./...
	env -u CGO_CFLAGS -u CGO_LDFLAGS $(GO) vet ./cuda/driver
	CGO_ENABLED=0 $(GO) vet $$($(GO) list ./... | grep -v -E 'peregrine$$|/model/(cpu|tokenizer|engine|quantize/vocabulary)$$|/ui/cli$$|/cuda$$|/cuda/emulator(/testkernels)?$$')

.PHONY: lint
lint: $(GOLANGCI) $(LIBRARY) $(STAND_IN) ## run golangci-lint
	$(GOLANGCI) run
	$(GOLANGCI) run --build-tags cuda

.PHONY: check-arm64
check-arm64: ## check the CPU kernels of aarch64 under qemu
	GO="$(GO)" .ci/arm64

.PHONY: tidy-check
tidy-check: ## say what go mod tidy would change
	$(GO) mod tidy -diff

$(GOLANGCI): Makefile
	GOBIN="$(CURDIR)/$(BUILD)/bin" $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	touch $@

# The oldest and the newest kind of cache that is in use; another version: make check-hub HUB_VERSIONS=…
HUB_VERSIONS ?= 0.36.2 2.4.0

.PHONY: check-hub
check-hub: ## check that huggingface_hub and we read each other's caches
	@command -v python3 >/dev/null || { echo "make: python3 is missing; huggingface_hub runs in it" >&2; exit 1; }
	@set -e; for version in $(HUB_VERSIONS); do \
		venv="$(CURDIR)/$(BUILD)/hub-$$version"; \
		python3 -m venv "$$venv"; \
		"$$venv/bin/pip" install --quiet --disable-pip-version-check "huggingface_hub==$$version"; \
		echo "huggingface_hub $$version"; \
		PEREGRINE_HUB_PYTHON="$$venv/bin/python" $(GO) test ./model/hub -v -run '^TestTheCacheIsSharedWithPython$$' -count 1 | \
			awk '{ print } /^--- PASS: TestTheCacheIsSharedWithPython /{ ran = 1 } END { exit !ran }'; done

# AutoGPTQ's last version, with what it was made for, and GPTQModel with what is newest.
GPTQ_OLD := torch==2.2.2 "numpy<2" "pyarrow<18" transformers==4.45.2 accelerate==0.34.2 peft==0.12.0 datasets==2.21.0 sentencepiece rouge gekko
GPTQ_NEW := torch transformers accelerate optimum setuptools wheel numpy

.PHONY: check-gptq
check-gptq: $(BUILD)/demo-gptq/config.json ## check that AutoGPTQ, GPTQModel and transformers read what quantize makes
	@command -v python3 >/dev/null || { echo "make: python3 is missing; the packages run in it" >&2; exit 1; }
	python3 -m venv "$(BUILD)/gptq-old" && "$(BUILD)/gptq-old/bin/pip" install --quiet --disable-pip-version-check $(GPTQ_OLD)
	"$(BUILD)/gptq-old/bin/pip" install --quiet --disable-pip-version-check --no-deps auto-gptq==0.7.1
	"$(BUILD)/gptq-old/bin/python" .ci/check-gptq $(BUILD)/demo-gptq rule
	"$(BUILD)/gptq-old/bin/python" .ci/check-gptq $(BUILD)/demo-gptq auto-gptq
	python3 -m venv "$(BUILD)/gptq-new" && "$(BUILD)/gptq-new/bin/pip" install --quiet --disable-pip-version-check $(GPTQ_NEW)
	"$(BUILD)/gptq-new/bin/pip" install --quiet --disable-pip-version-check --no-build-isolation gptqmodel
	TORCHDYNAMO_DISABLE=1 "$(BUILD)/gptq-new/bin/python" .ci/check-gptq $(BUILD)/demo-gptq gptqmodel
	TORCHDYNAMO_DISABLE=1 "$(BUILD)/gptq-new/bin/python" .ci/check-gptq $(BUILD)/demo-gptq transformers

# The original model card's form: 4 bits, no groups, act-order.
$(BUILD)/demo-gptq/config.json: | model
	bin/peregrine quantize smollm2 --bits 4 --group-size -1 --act-order --out $(BUILD)/demo-gptq

.PHONY: demo-gptq
demo-gptq: $(BUILD)/demo-gptq/config.json ## turn the default model into a GPTQ one, once, and chat with it
	@bin/peregrine $(BUILD)/demo-gptq

# Settings and their variables: .ci/bench-quantize. A run that was stopped goes on where it was.
QUANTIZE_RESULTS ?= $(BUILD)/quantize.jsonl

.PHONY: bench-quantize
bench-quantize: model ## judge the default model (MODEL=…) quantised at many settings: a line of JSON each
	.ci/bench-quantize "$(QUANTIZE_RESULTS)" $(MODEL)

# FUZZJOBS targets go at once, each with its part of the cores: a short fuzz is for the most part compiling and linking.
FUZZJOBS ?= 1

.PHONY: fuzz
fuzz: $(LIBRARY) ## fuzz each parser for FUZZTIME (60s)
	@targets=$$(for file in $$(grep -rlE '^func Fuzz' --include='*_test.go' .); do \
		sed -nE "s#^func (Fuzz[A-Za-z0-9_]*)\(.*#$$(dirname $$file) \1 $(FUZZTIME) $(FUZZJOBS)#p" $$file; \
	done); \
	test -n "$$targets" || { echo "make: no fuzz target was found" >&2; exit 1; }; \
	GO="$(GO)" xargs -P $(FUZZJOBS) -L 1 .ci/fuzz <<<"$$targets"

.PHONY: ptx
ptx: ## compile the GPU kernels (needs clang-19); commit the result
	$(GO) run ./cuda/emulator/generate
	$(GO) test ./cuda/kernels -run '^TestManifest$$' -count 1 -update

.PHONY: build-emulator
build-emulator: $(LIBRARY) $(STAND_IN) ## build bin/peregrine-emulator, with --backend emulator
	$(GO) build -tags cuda,emulator -ldflags "$(LDFLAGS)" -o bin/peregrine-emulator .

.PHONY: test-cuda
test-cuda: $(LIBRARY) $(STAND_IN) ## run the CUDA tests on this machine's GPU
	PEREGRINE_REQUIRE_CUDA=1 $(GO) test $(TAGS) -count 1 -timeout 30m $(TESTFLAGS) ./cuda/...

.PHONY: golden
golden: ## rewrite the golden screens; review the diff
	@set -e; for dir in $$(grep -rlE 'flag\.Bool\("update"' --include='*_test.go' . | xargs -n 1 dirname | sort -u); do \
		$(GO) test $$dir -run Golden -update; done

.PHONY: picture
picture: ## draw the README's picture from the program's own screen
	$(GO) test ./ui -run '^TestPicture$$' -count 1 -update

.PHONY: bench
bench: model ## time the default model: prefill and decode
	bin/peregrine bench

# Standard output is the lines of JSON alone; missed goals and failures go to standard error. One package at a time, since a
# second one would be measured with the first.
.PHONY: bench-ui
bench-ui: ## measure the screen: a line of JSON with name, value, unit, goal each
	@set -o pipefail; $(GO) test -p 1 -timeout 60m -v -run '^$$' -bench . -benchtime 5x ./ui ./history ./ui/cli | awk ' \
		/^[{]/ { print; fflush(); next } \
		!/^(goos|goarch|pkg|cpu): |^Benchmark|^PASS$$|^ok/ { print > "/dev/stderr" }'

.PHONY: bench-peer
bench-peer: model ## time llama.cpp and us in turn; PEER=path of llama-bench
	@test -n "$(PEER)" || { echo "make: name llama.cpp's llama-bench: make bench-peer PEER=…/bin/llama-bench" >&2; exit 1; }
	.ci/bench-peer "$(PEER)" $(MODEL)

.PHONY: bench-start
bench-start: model ## time the start of llama.cpp and ours in turn; PEER=path of llama-bench
	@test -n "$(PEER)" || { echo "make: name llama.cpp's llama-bench: make bench-start PEER=…/bin/llama-bench" >&2; exit 1; }
	.ci/bench-start "$(PEER)" $(MODEL)

.PHONY: clean
clean: ## remove what was built, the model cache excepted
	rm -rf bin $(BUILD) model/tokenizer/lib
