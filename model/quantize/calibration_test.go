package quantize

import (
	"strings"
	"testing"
)

func count(n int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(i)
	}
	return ids
}

// TestWindowsRepeatNoToken, and are the same whenever they are drawn.
func TestWindowsRepeatNoToken(t *testing.T) {
	bos := int32(-7)
	for _, begin := range []*int32{nil, &bos} {
		got, err := Windows(count(1003), begin, 11, 32)
		if err != nil {
			t.Fatal(err)
		}
		again, _ := Windows(count(1003), begin, 11, 32)
		last := int32(-1)
		for i, w := range got {
			if len(w) != 32 || begin != nil && w[0] != bos {
				t.Fatalf("window %d is %v", i, w)
			}
			for k, id := range w {
				if id != again[i][k] {
					t.Fatal("drawn anew the windows are others")
				}
				if id == bos {
					continue
				}
				if id <= last {
					t.Fatalf("window %d repeats token %d", i, id)
				}
				last = id
			}
		}
	}
}

func TestWindowsSayWhatIsMissing(t *testing.T) {
	_, err := Windows(count(100), nil, 4, 32)
	if want := "the calibration text has 100 tokens; 4 sequences of 32 need 128"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want an error with %q", err, want)
	}
	bos := int32(1)
	if _, err := Windows(count(100), &bos, 1, 1); err == nil {
		t.Error("a window of nothing but BOS was drawn")
	}
}
