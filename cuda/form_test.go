package cuda

import (
	"math"
	"testing"

	"peregrine/cuda/driver"
)

// xIndex is where layout.cuh puts feature k of a token, from its text.
func xIndex(form, features, token, k int) int {
	if form == formCores {
		group := k/coreFeatures*(maxTokens/8) + token/8
		return ((group*8+k%coreFeatures/8)*8+token%8)*8 + k%8
	}
	pair, s, h, c, b := k/32, k/16%2, k/8%2, k/2%4, k%2
	lane := 4*(token%8) + c
	return ((token/8*(features/32)+pair)*32+lane)*8 + 4*s + 2*h + b
}

// xRoom is how many tokens and features an x has room for.
func xRoom(form, features, tokens int) (rows, padded int) {
	if form == formCores {
		return maxTokens, ceilDiv(features, coreFeatures) * coreFeatures
	}
	return ceilDiv(tokens, 8) * 8, features
}

// xElements is how many elements an x has.
func xElements(form, features, tokens int) int {
	rows, padded := xRoom(form, features, tokens)
	return rows * padded
}

// uploadX uploads [token][in] values in a form, as p reads them. Tokens that are not there are NaN: they must not matter.
func uploadX(r rig, p *packing, values [][]float32, form int) driver.Ptr {
	tokens, features := len(values), p.xFeatures()
	rows, padded := xRoom(form, features, tokens)
	x := make([]float32, rows*padded)
	for token := tokens; token < rows; token++ {
		for k := range padded {
			x[xIndex(form, features, token, k)] = float32(math.NaN())
		}
	}
	for token, row := range values {
		for k, v := range row {
			x[xIndex(form, features, token, p.at(k))] = v
		}
	}
	if form == formFloats {
		return put(r, x)
	}
	return put(r, halves(x))
}

// runLinear runs one of the three kernels as plan.multiply does; blocks are those of all segments.
func runLinear(r rig, kernel string, p *packing, blocks int, a linearArgs) {
	r.Helper()
	format := p.name
	if kernel == "prefill" && p.expanded {
		format = layoutF16.name
	}
	tokens, name := int(a.tokens), "linear_"+kernel+"_"+format
	switch kernel {
	case "precise":
		run(r, "linear_"+format, name, blocks, ceilDiv(tokens, decodeTokens), a)
	case "decode":
		shareItems(&a)
		s := decodeShapeOf(r.d.Info(), format, &a)
		runKernel(r.T, r.d, s.module, s.name, []int{s.blocks}, threads, decodeShared, &a)
	default:
		s := prefillShapeOf(formOf(r.d.Info(), false, tokens))
		runKernel(r.T, r.d, "prefill_"+format, name, []int{blocks, ceilDiv(tokens, s.tokens)}, s.threads, s.shared, &a)
	}
}

// Every element of an x has one place, and every place one element.
func TestFormsAreOrders(t *testing.T) {
	for _, form := range []int{formFragments, formFloats, formCores} {
		rows, padded := xRoom(form, 224, 20)
		seen := make([]bool, xElements(form, 224, 20))
		for token := range rows {
			for k := range padded {
				at := xIndex(form, 224, token, k)
				if seen[at] {
					t.Fatalf("form %d: token %d, feature %d is where another is, at %d", form, token, k, at)
				}
				seen[at] = true
			}
		}
	}
}

// Cores are for the prefill kernels of compute capability 9.0, and nothing else.
func TestFormOf(t *testing.T) {
	for _, c := range []struct {
		major, minor int
		precise      bool
		tokens, want int
	}{
		{9, 0, false, 8, formFragments},
		{9, 0, false, 9, formCores},
		{9, 0, true, 9, formFloats},
		{8, 0, false, 512, formFragments},
		{8, 9, false, 512, formFragments},
		{10, 0, false, 512, formFragments},
		{12, 0, true, 1, formFloats},
	} {
		if got := formOf(driver.Info{Major: c.major, Minor: c.minor}, c.precise, c.tokens); got != c.want {
			t.Errorf("%+v: got %d", c, got)
		}
	}
}
