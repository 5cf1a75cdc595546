// Package tensor holds what every other room of the model agrees on: element types, shapes, 16-bit floats, and read-only
// views of mapped memory.
//
// A View never owns its bytes: they belong to the Mapping (or slice) that it was cut from and end with it. Bytes of a view
// may start at any address, since no container guarantees alignment; read them with the functions of this package.
package tensor

// DType is an element type as the containers name it.
type DType uint8

// Element types. The ones without arithmetic here exist so that a file that holds them can be listed and refused by name.
const (
	Invalid DType = iota
	Bool
	U8
	I8
	U16
	I16
	F16
	BF16
	U32
	I32
	F32
	U64
	I64
	F64
)

var dtypeNames = [...]string{
	Invalid: "invalid", Bool: "BOOL", U8: "U8", I8: "I8", U16: "U16", I16: "I16", F16: "F16", BF16: "BF16",
	U32: "U32", I32: "I32", F32: "F32", U64: "U64", I64: "I64", F64: "F64",
}

var dtypeSizes = [...]int{
	Bool: 1, U8: 1, I8: 1, U16: 2, I16: 2, F16: 2, BF16: 2, U32: 4, I32: 4, F32: 4, U64: 8, I64: 8, F64: 8,
}

// String returns the safetensors name, such as "BF16".
func (d DType) String() string {
	if int(d) < len(dtypeNames) {
		return dtypeNames[d]
	}
	return "invalid"
}

// Size returns the bytes of one element, 0 for Invalid.
func (d DType) Size() int {
	if int(d) < len(dtypeSizes) {
		return dtypeSizes[d]
	}
	return 0
}

// View is a read-only tensor in memory that somebody else owns.
type View struct {
	Name  string
	DType DType
	Shape []int  // C order, outermost first; empty for a scalar
	Data  []byte // little-endian, len = elements · DType.Size()
}

// Elements returns the product of the shape: 1 for a scalar. The containers have checked it against len(Data).
func (v View) Elements() int {
	n := 1
	for _, d := range v.Shape {
		n *= d
	}
	return n
}
