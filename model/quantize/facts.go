package quantize

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"

	"peregrine/model"
	"peregrine/model/quantize/product"
)

// stateVersion changes whenever the same call would give other bits.
const stateVersion = "2"

// facts returns all that the result depends on but the weights, which the caller knows by Job.Facts.
func (j Job) facts() map[string]string {
	f := maps.Clone(j.Facts)
	if f == nil {
		f = map[string]string{}
	}
	o := j.Options
	f["version"], f["method"] = stateVersion, "gptq"
	f["bits"], f["group size"] = fmt.Sprint(o.Bits), fmt.Sprint(o.GroupSize)
	f["symmetric"], f["storable"] = fmt.Sprint(o.Symmetric), fmt.Sprint(o.Storable)
	j.model(f)
	if j.Nearest {
		f["method"] = "rtn"
		return f
	}
	f["act-order"], f["damping"] = fmt.Sprint(o.ActOrder), fmt.Sprint(o.damping())
	f["static groups"] = fmt.Sprint(o.StaticGroups)
	f["samples"], f["length"] = fmt.Sprint(len(j.Windows)), fmt.Sprint(len(j.Windows[0]))
	h := sha256.New()
	for _, window := range j.Windows {
		var b []byte
		for _, id := range window {
			b = binary.LittleEndian.AppendUint32(b, uint32(id))
		}
		h.Write(b)
	}
	f["calibration tokens"] = hex.EncodeToString(h.Sum(nil))
	return f
}

// model adds what the forward pass takes from the configuration, which is a file of its own beside the weights.
func (j Job) model(f map[string]string) {
	c := j.Params.Config
	f["shape"] = fmt.Sprintf("%s, %d layers, hidden %d, heads %d/%d of %d, ffn %d, vocabulary %d",
		c.Architecture, c.Layers, c.Hidden, c.Heads, c.KVHeads, c.HeadDim, c.FFN, c.Vocab)
	f["block"] = fmt.Sprintf("norm %d, mlp %d, parallel %v", c.Norm, c.MLP, c.Parallel)
	f["norm epsilon"] = fmt.Sprint(c.NormEps)
	f["positions"] = fmt.Sprintf("kind %d, rope %+v", c.Positions, c.Rope)
}

// Need returns about how many bytes of memory the job holds at its peak, the source's own pages left out, and of disk space in
// its working folder, the checkpoint that is made of it included.
func (j Job) Need() (memory, disk int64) {
	c := j.Params.Config
	var layer, largest, weights int64
	widest := int64(max(c.Hidden, c.FFN, c.Heads*c.HeadDim))
	for i := range j.Params.Layers {
		l := &j.Params.Layers[i]
		var sum int64
		for _, x := range []model.Linear{l.QKV, l.AttnOut, l.Up, l.Down} {
			n := int64(x.Out()) * int64(x.In())
			sum, largest = sum+n, max(largest, n)
		}
		layer, weights = max(layer, sum), weights+sum
	}
	group := int64(j.Options.GroupSize)
	if group < 1 {
		group = widest
	}
	vocabulary := 4 * int64(c.Vocab) * int64(c.Hidden) // embedding and head
	file := weights*int64(j.Options.Bits)/8 + weights/group*3 + vocabulary
	disk = 2*file + 64<<20
	memory = 4*largest + largest + layer*int64(j.Options.Bits)/8*2 + vocabulary
	if j.Nearest {
		return memory, disk
	}
	tokens, length := int64(len(j.Windows))*int64(len(j.Windows[0])), int64(len(j.Windows[0]))
	cores := int64(product.Cores())
	boundary := 4 * tokens * int64(c.Hidden)
	side := 4 * tokens * int64(max(c.Hidden, c.Heads*c.HeadDim))
	each := 4 * length * (4*widest + int64(c.FFN*gates(c)) + length)
	memory += 4*layer + 2*boundary + side + cores*each + 24*widest*widest
	disk += 3 * boundary
	return memory, disk
}
