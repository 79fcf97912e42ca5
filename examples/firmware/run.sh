#!/bin/sh
# What `cargo run` starts for an image: builds and runs the runner, which is a program of the host.
set -eu
host=$(rustc -vV | sed -n 's/^host: //p')
exec cargo run --quiet --locked --release --package runner --target "$host" -- "$@"
