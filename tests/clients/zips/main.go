// Reads module zips as cmd/go does (modfetch.hashZip, then modfetch.unzip): for
// each file named on standard input a line, "ok" and its h1, or "no" and why.
package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
	"golang.org/x/mod/zip"
)

func read(m module.Version, file string) (string, error) {
	h1, err := dirhash.HashZip(file, dirhash.DefaultHash)
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "zips")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	return h1, zip.Unzip(dir, m, file)
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		path, version, file := "", "", ""
		if _, err := fmt.Sscan(lines.Text(), &path, &version, &file); err != nil {
			panic(err)
		}
		h1, err := read(module.Version{Path: path, Version: version}, file)
		if err != nil {
			fmt.Println("no", strings.Join(strings.Fields(err.Error()), " "))
		} else {
			fmt.Println("ok", h1)
		}
	}
}
