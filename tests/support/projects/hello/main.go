// Hello reads a document in two formats and hashes it.
package main

import (
	"fmt"
	"log"

	"example.com/hello/greet"
	"github.com/cespare/xxhash/v2"
	"gopkg.in/yaml.v3"
)

func main() {
	g, err := greet.Parse(`name = "hello"`)
	if err != nil {
		log.Fatal(err)
	}
	out, err := yaml.Marshal(g)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s%x\n", out, xxhash.Sum64(out))
}
