package greet

import "testing"

func TestParse(t *testing.T) {
	if g, err := Parse(`name = "x"`); err != nil || g.Name != "x" {
		t.Fatal(g, err)
	}
}
