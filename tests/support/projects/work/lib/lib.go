// Package lib names things.
package lib

import (
	"github.com/Masterminds/semver/v3"
	"github.com/google/uuid"
)

// ID is a name with the latest version in it.
func ID() string {
	return uuid.Nil.String() + semver.MustParse("1.0.0").String()
}
