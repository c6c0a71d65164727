// Package sample uses two public modules.
package sample

import (
	"github.com/google/uuid"
	"github.com/pkg/errors"

	"example.com/sample/greeting"
)

// New greets under a new ID.
func New() (string, error) {
	id, err := uuid.NewRandom()
	if err != nil {
		return "", errors.Wrap(err, "no ID")
	}
	return greeting.For(id.String()), nil
}
