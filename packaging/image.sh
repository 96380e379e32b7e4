#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the container images localhost/r53fwd and, where r53fwd-http is built, localhost/r53fwd-http, with podman or buildah. They pull
# nothing: there is no image below them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

version=$(sed -n 's/^project(r53fwd VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if command -v podman >/dev/null; then
	builder=(podman build --isolation=chroot --layers=false)
elif command -v buildah >/dev/null; then
	builder=(buildah build --isolation=chroot --layers=false)
else
	printf 'image.sh: neither podman nor buildah is installed\n' >&2
	exit 1
fi

# image NAME PROGRAM...: an image with these programs.
image() {
	local name=$1
	shift
	rm -rf "$work/tree"
	packaging/tree.sh --libc "$work/tree" "$@"
	# Documents and a configuration that nobody has asked for are for hosts.
	rm -rf "$work/tree/share/man" "$work/tree/share/r53fwd" "$work/tree/etc"
	# The control socket's folder. A volume takes its owner from here.
	install -d -m 750 "$work/run/r53fwd"
	"${builder[@]}" --format docker --timestamp "$(git log -1 --format=%ct)" --file packaging/container/Containerfile \
		--tag "localhost/$name:$version" --tag "localhost/$name:latest" "$work"
}

image r53fwd r53fwd
if grep -q '^r53fwd_program(r53fwd-http' src/CMakeLists.txt; then image r53fwd-http r53fwd r53fwd-http; fi
