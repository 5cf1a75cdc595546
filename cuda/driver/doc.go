// Package driver talks to the CUDA driver.
package driver
