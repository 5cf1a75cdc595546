package cuda

import "peregrine/cuda/driver"

// arena is one piece of device memory that is measured before it is allocated: take first, then open, then at.
type arena struct {
	size int64
	base driver.Ptr
}

// slot is where something lies in an arena; none stands for what is absent.
type slot int64

const none slot = -1

// arenaMost is where the size stops: far more than any device has, so that Alloc refuses it, and far below an overflow.
const arenaMost = 1 << 60

// take reserves bytes, aligned to 256; none for no bytes.
func (a *arena) take(bytes int64) slot {
	if bytes == 0 {
		return none
	}
	p := slot(a.size)
	a.size = min(a.size+(min(bytes, arenaMost)+255)&^255, arenaMost)
	return p
}

func (a *arena) open(d driver.Device) (err error) {
	if a.size > 0 {
		a.base, err = d.Alloc(a.size)
	}
	return err
}

func (a *arena) at(p slot) driver.Ptr {
	if p == none {
		return 0
	}
	return a.base + driver.Ptr(p)
}

func (a *arena) close(d driver.Device) error {
	if a.base == 0 {
		return nil
	}
	base := a.base
	a.base = 0
	return d.Release(base)
}
