// Reads module paths, versions, names of files and go.sum files as cmd/go does: for
// each line on standard input, a kind and texts in hex, a line, "ok" and what was
// read, or "no". The test puts cmd/go's own readGoSum beside this file.
package main

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"os"
	"sort"
	"strings"

	"golang.org/x/mod/module"
)

func text(encoded string) string {
	decoded, err := hex.DecodeString(encoded)
	if err != nil {
		panic(err)
	}
	return string(decoded)
}

// What readGoSum ends the program by.
type malformed struct{}

func sums(data string) (read string, err error) {
	defer func() {
		switch why := recover().(type) {
		case nil:
		case malformed:
			err = fmt.Errorf("malformed")
		default:
			panic(why)
		}
	}()
	known := make(map[module.Version][]string)
	readGoSum(known, "go.sum", []byte(data))
	var lines []string
	for of, hashes := range known {
		for _, hash := range hashes {
			lines = append(lines, of.Path+" "+of.Version+" "+hash+"\n")
		}
	}
	sort.Strings(lines)
	return strings.Join(lines, ""), nil
}

func answer(kind string, texts []string) (string, error) {
	switch kind {
	case "path":
		return module.EscapePath(texts[0])
	case "escaped":
		return module.UnescapePath(texts[0])
	case "version":
		return module.EscapeVersion(texts[0])
	case "canonical":
		version := module.CanonicalVersion(texts[0])
		if version == "" {
			return "", fmt.Errorf("none")
		}
		return version, nil
	case "module":
		return "", module.Check(texts[0], texts[1])
	case "file":
		return "", module.CheckFilePath(texts[0])
	case "go.sum":
		return sums(texts[0])
	}
	panic(kind)
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		fields := strings.Split(lines.Text(), " ")
		for i := range fields[1:] {
			fields[i+1] = text(fields[i+1])
		}
		if said, err := answer(fields[0], fields[1:]); err != nil {
			fmt.Println("no")
		} else {
			fmt.Println("ok", hex.EncodeToString([]byte(said)))
		}
	}
}
