// Package greet has a greeting and its test.
package greet

import "github.com/BurntSushi/toml"

// Greeting is whom to greet.
type Greeting struct{ Name string }

// Parse reads a greeting from TOML. It is no inlined part of whoever calls it, so that
// this package's output alone decides what it does.
//
//go:noinline
func Parse(text string) (g Greeting, err error) {
	_, err = toml.Decode(text, &g)
	return g, err
}
