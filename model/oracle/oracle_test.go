package oracle_test

import (
	"testing"

	"peregrine/model"
	"peregrine/model/backendtest"
	"peregrine/model/oracle"
)

func TestOracleIsABackend(t *testing.T) {
	backendtest.Run(t, func(*testing.T) model.Backend { return oracle.Backend() })
}
