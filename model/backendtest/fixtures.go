package backendtest

import "testing"

func (s *suite) fixtures(t *testing.T) {}
