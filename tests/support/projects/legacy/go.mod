module example.com/legacy

go 1.16

require (
	github.com/BurntSushi/toml v1.3.2
	github.com/cespare/xxhash v1.1.0
	github.com/gofrs/uuid v4.4.0+incompatible
	github.com/pkg/errors v0.9.1
)
