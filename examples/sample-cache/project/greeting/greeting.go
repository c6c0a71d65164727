// Package greeting needs nothing but the language.
package greeting

// For greets somebody.
func For(name string) string { return "Hello, " + name + "!" }
