module example.com/work/app

go 1.21

require (
	example.com/work/lib v0.0.0
	github.com/Masterminds/semver/v3 v3.3.1
	golang.org/x/exp v0.0.0-20240719175910-8a7402abbf56
)

require github.com/google/uuid v1.6.0 // indirect

replace example.com/work/lib => ../lib
