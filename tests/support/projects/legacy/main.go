// Legacy needs the whole module graph (before Go 1.17) and a module
// without a go.mod.
package main

import (
	"fmt"

	"github.com/BurntSushi/toml"
	"github.com/cespare/xxhash"
	"github.com/gofrs/uuid"
	"github.com/pkg/errors"
)

func main() {
	var v struct{ A int }
	_, err := toml.Decode("a = 1", &v)
	fmt.Println(uuid.Nil, errors.Wrap(err, "toml"), xxhash.Sum64String("x"))
}
