// Package greet has a greeting and its test.
package greet

import "github.com/BurntSushi/toml"

// Greeting is whom to greet.
type Greeting struct{ Name string }

// Parse reads a greeting from TOML.
func Parse(text string) (g Greeting, err error) {
	_, err = toml.Decode(text, &g)
	return g, err
}
