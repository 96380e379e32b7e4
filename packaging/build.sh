#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the Debian packages from the last commit, in a folder of their own, into build/packages.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

out=$PWD/build/packages
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir -p "$out" "$work/r53fwd"
git archive HEAD | tar -x -C "$work/r53fwd"
cp -r packaging/debian "$work/r53fwd/debian"
(cd "$work/r53fwd" && dpkg-buildpackage --build=binary --unsigned-changes --unsigned-buildinfo)
rm -f "$out"/*.deb
mv "$work"/*.deb "$out/"
ls -l "$out"
