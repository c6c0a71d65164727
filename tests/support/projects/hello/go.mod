module example.com/hello

go 1.21

require (
	github.com/BurntSushi/toml v1.4.0
	github.com/cespare/xxhash/v2 v2.3.0
	gopkg.in/yaml.v3 v3.0.1
)
