// App prints the keys of a map of versions.
package main

import (
	"fmt"

	"example.com/work/lib"
	"github.com/Masterminds/semver/v3"
	"golang.org/x/exp/maps"
)

func main() {
	set := map[string]*semver.Version{lib.ID(): semver.MustParse("1.2.3")}
	fmt.Println(maps.Keys(set))
}
