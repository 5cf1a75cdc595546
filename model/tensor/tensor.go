// Package tensor holds what every other room of the model agrees on: element types, shapes, 16-bit floats, and read-only
// views of mapped memory.
//
// A View never owns its bytes: they belong to the Mapping (or slice) that it was cut from and end with it. Bytes of a view
// may start at any address, since no container guarantees alignment; read them with the functions of this package.
package tensor

// DType is an element type as the containers name it.
type DType uint8

// Element types. The ones without arithmetic here exist so that a file that holds them can be listed and refused by name.
// They are all that safetensors knows.
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
	C64 // two float32
	F8E4M3
	F8E5M2
	F8E8M0
	F8E4M3FNUZ
	F8E5M2FNUZ
	F6E2M3
	F6E3M2
	F4
	numDTypes
)

var dtypeNames = [...]string{
	Invalid: "invalid", Bool: "BOOL", U8: "U8", I8: "I8", U16: "U16", I16: "I16", F16: "F16", BF16: "BF16",
	U32: "U32", I32: "I32", F32: "F32", U64: "U64", I64: "I64", F64: "F64", C64: "C64",
	F8E4M3: "F8_E4M3", F8E5M2: "F8_E5M2", F8E8M0: "F8_E8M0", F8E4M3FNUZ: "F8_E4M3FNUZ", F8E5M2FNUZ: "F8_E5M2FNUZ",
	F6E2M3: "F6_E2M3", F6E3M2: "F6_E3M2", F4: "F4",
}

var dtypeBits = [...]int{
	Bool: 8, U8: 8, I8: 8, U16: 16, I16: 16, F16: 16, BF16: 16, U32: 32, I32: 32, F32: 32, U64: 64, I64: 64, F64: 64,
	C64: 64, F8E4M3: 8, F8E5M2: 8, F8E8M0: 8, F8E4M3FNUZ: 8, F8E5M2FNUZ: 8, F6E2M3: 6, F6E3M2: 6, F4: 4,
}

// ParseDType returns the type with the given safetensors name, such as "BF16", and whether there is one.
func ParseDType(name string) (DType, bool) {
	for d := Invalid + 1; d < numDTypes; d++ {
		if dtypeNames[d] == name {
			return d, true
		}
	}
	return Invalid, false
}

// String returns the safetensors name, such as "BF16".
func (d DType) String() string {
	if int(d) < len(dtypeNames) {
		return dtypeNames[d]
	}
	return "invalid"
}

// Bits returns the bits of one element, 0 for Invalid.
func (d DType) Bits() int {
	if int(d) < len(dtypeBits) {
		return dtypeBits[d]
	}
	return 0
}

// Size returns the bytes of one element, 0 for Invalid and for the types whose elements are not whole bytes.
func (d DType) Size() int {
	if b := d.Bits(); b%8 == 0 {
		return b / 8
	}
	return 0
}

// View is a read-only tensor in memory that somebody else owns.
type View struct {
	Name  string
	DType DType
	Shape []int  // C order, outermost first; empty for a scalar
	Data  []byte // little-endian, len = elements · DType.Bits() / 8
}

// Elements returns the product of the shape: 1 for a scalar. The containers have checked it against len(Data).
func (v View) Elements() int {
	n := 1
	for _, d := range v.Shape {
		n *= d
	}
	return n
}
