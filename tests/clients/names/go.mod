module gocachevet/tests/clients/names

go 1.24

require golang.org/x/mod v0.0.0

// The very source that cmd/go was built from, which the test puts there.
replace golang.org/x/mod => ./mod
