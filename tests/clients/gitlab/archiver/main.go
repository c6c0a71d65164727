// Packs and unpacks a folder as GitLab's runner does with a cache, by the
// runner's own packages: archiver pack|unpack ziplegacy|fastzip|tarzstd FILE DIR
package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"gitlab.com/gitlab-org/gitlab-runner/commands/helpers/archive"
	"gitlab.com/gitlab-org/gitlab-runner/commands/helpers/archive/fastzip"
	"gitlab.com/gitlab-org/gitlab-runner/commands/helpers/archive/tarzstd"
	"gitlab.com/gitlab-org/gitlab-runner/commands/helpers/archive/ziplegacy"
)

func main() {
	if len(os.Args) != 5 {
		fmt.Fprintln(os.Stderr, "usage: archiver pack|unpack ziplegacy|fastzip|tarzstd FILE DIR")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3], os.Args[4]); err != nil {
		fmt.Fprintln(os.Stderr, "archiver:", err)
		os.Exit(1)
	}
}

func run(what, format, file, dir string) error {
	switch format {
	case "ziplegacy":
		archive.Register(archive.Zip, ziplegacy.NewArchiver, ziplegacy.NewExtractor)
	case "fastzip":
		archive.Register(archive.Zip, fastzip.NewArchiver, fastzip.NewExtractor)
	case "tarzstd":
		archive.Register(archive.Zip, tarzstd.NewArchiver, tarzstd.NewExtractor)
	default:
		return fmt.Errorf("unknown format %s", format)
	}
	file, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	// The packages work in the project's folder, as the runner does.
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	if err := os.Chdir(dir); err != nil {
		return err
	}
	if what == "unpack" {
		return unpack(file, dir)
	}
	return pack(format, file, dir)
}

func pack(format, file, dir string) error {
	files := map[string]os.FileInfo{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if format == "ziplegacy" {
			if path, err = filepath.Rel(dir, path); err != nil {
				return err
			}
		}
		files[path] = info
		return nil
	})
	if err != nil {
		return err
	}
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	archiver, err := archive.NewArchiver(archive.Zip, out, dir, archive.DefaultCompression)
	if err != nil {
		return err
	}
	if err := archiver.Archive(context.Background(), files); err != nil {
		return err
	}
	return out.Close()
}

func unpack(file, dir string) error {
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	extractor, err := archive.NewExtractor(archive.Zip, in, info.Size(), dir)
	if err != nil {
		return err
	}
	return extractor.Extract(context.Background())
}
