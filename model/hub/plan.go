package hub

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// The kinds of files that are ever fetched. Everything else stays where it is: pickles and code could run, pictures and texts
// are of no use here.
var (
	// companions stand beside safetensors files. Sources: transformers' and AutoGPTQ's loaders.
	companions = []string{
		"config.json", "generation_config.json", "quantize_config.json", "quant_config.json",
		"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja", "additional_chat_templates/*.jinja",
	}
	// otherWeights are safetensors files that are no model: a second copy in another layout, adapters, a trainer's state.
	otherWeights = []string{"consolidated*.safetensors", "adapter_*.safetensors", "*optimizer*.safetensors", "training_*.safetensors"}
)

const (
	safetensorsEnding = ".safetensors"
	indexEnding       = ".safetensors.index.json"
	ggufEnding        = ".gguf"
)

// choose returns the files of a listing that are needed, the small ones first. include holds patterns as path.Match has them,
// for a file's path or its last part; where it is empty the model is the repository's safetensors files, else its only GGUF
// file.
func choose(files []remoteFile, n Name, include []string) ([]remoteFile, error) {
	weights, err := chooseWeights(files, n, include)
	if err != nil {
		return nil, err
	}
	wanted := weights
	if slices.ContainsFunc(weights, func(f remoteFile) bool { return strings.HasSuffix(f.Path, safetensorsEnding) }) {
		for _, f := range files {
			isIndex := strings.HasSuffix(f.Path, indexEnding) && !matches(otherIndexes, f.Path) && !strings.Contains(f.Path, "/")
			if matches(companions, f.Path) || isIndex {
				wanted = append(wanted, f)
			}
		}
	}
	slices.SortStableFunc(wanted, func(a, b remoteFile) int { return int(max(-1, min(1, a.Size-b.Size))) })
	return slices.CompactFunc(wanted, func(a, b remoteFile) bool { return a.Path == b.Path }), nil
}

// otherIndexes lead to otherWeights.
var otherIndexes = []string{"consolidated*" + indexEnding}

func chooseWeights(files []remoteFile, n Name, include []string) ([]remoteFile, error) {
	var tensors, ggufs, pickles []remoteFile
	for _, f := range files {
		switch {
		case strings.HasSuffix(f.Path, safetensorsEnding) && !strings.Contains(f.Path, "/") && !matches(otherWeights, f.Path):
			tensors = append(tensors, f)
		case strings.HasSuffix(f.Path, ggufEnding):
			ggufs = append(ggufs, f)
		case matches([]string{"*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl"}, f.Path):
			pickles = append(pickles, f)
		}
	}
	switch {
	case len(include) > 0:
		return included(files, n, include)
	case len(tensors) > 0:
		return principal(tensors, files), nil
	case len(ggufs) == 1:
		return ggufs, nil
	case len(ggufs) > 1:
		return nil, fmt.Errorf("hub: %s: holds %d GGUF files (%s); name one, as in %s/%s", n, len(ggufs), names(ggufs), n.Repo, ggufs[0].Path)
	case len(pickles) > 0:
		return nil, fmt.Errorf("hub: %s: holds pickle weights alone (%s), which can run code and are never fetched; look for a safetensors or GGUF copy",
			n, names(pickles))
	}
	return nil, fmt.Errorf("hub: %s: holds no safetensors and no GGUF file", n)
}

// included returns the weights whose path or last part fits a pattern.
func included(files []remoteFile, n Name, include []string) ([]remoteFile, error) {
	for _, pattern := range include {
		if _, err := path.Match(pattern, ""); err != nil {
			return nil, fmt.Errorf("hub: the pattern %q: %w", pattern, err)
		}
	}
	var out, refused []remoteFile
	for _, f := range files {
		switch fits := matches(include, f.Path); {
		case fits && (strings.HasSuffix(f.Path, ggufEnding) || strings.HasSuffix(f.Path, safetensorsEnding)):
			out = append(out, f)
		case fits && !matches(companions, f.Path):
			refused = append(refused, f)
		}
	}
	switch {
	case len(out) > 0:
		return out, nil
	case len(refused) > 0:
		return nil, fmt.Errorf("hub: %s: %s fits %s alone; only safetensors and GGUF files are fetched, never pickles or code", n,
			strings.Join(include, ", "), names(refused))
	}
	return nil, fmt.Errorf("hub: %s: no file fits %s", n, strings.Join(include, ", "))
}

// principal leaves out copies: of several sets of safetensors files the one that loaders look for first, "model". Sets of other
// names, as GPTQ checkpoints have them, are kept together.
func principal(tensors, files []remoteFile) []remoteFile {
	indexed := slices.ContainsFunc(files, func(f remoteFile) bool { return f.Path == "model"+indexEnding })
	var model []remoteFile
	for _, f := range tensors {
		shard, _ := path.Match("model-*-of-*"+safetensorsEnding, f.Path) // the pattern is good
		if indexed && shard || !indexed && f.Path == "model"+safetensorsEnding {
			model = append(model, f)
		}
	}
	if len(model) > 0 {
		return model
	}
	return tensors
}

// matches reports whether a path, or its last part, fits one of the patterns. Case does not count.
func matches(patterns []string, p string) bool {
	p = strings.ToLower(p)
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		pattern = strings.ToLower(pattern)
		whole, err := path.Match(pattern, p)
		if err != nil || whole {
			return whole
		}
		last, err := path.Match(pattern, path.Base(p))
		return err == nil && last && strings.Count(pattern, "/") == 0
	})
}

// names lists the first few files.
func names(files []remoteFile) string {
	const most = 8
	var list []string
	for _, f := range files[:min(len(files), most)] {
		list = append(list, f.Path)
	}
	if len(files) > most {
		list = append(list, "…")
	}
	return strings.Join(list, ", ")
}
