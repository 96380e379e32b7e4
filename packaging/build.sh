#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# build.sh [FOLDER]: builds the Debian packages and the tarball for other distributions from the last commit, in a place of their own, into
# FOLDER (build/packages). The same commit gives the same octets. lintian must have nothing to say.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

out=$(realpath -m "${1:-build/packages}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
version=$(sed -n 's/^project(r53fwd VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
[[ $(sed -n '1s/.*(\(.*\)).*/\1/p' packaging/debian/changelog) == "$version" ]] || {
	printf 'build.sh: packaging/debian/changelog is not of version %s\n' "$version" >&2
	exit 1
}

# The time of the commit: whoever builds it later gets the same.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH TZ=UTC LC_ALL=C.UTF-8
umask 022

mkdir -p "$out" "$work/r53fwd"
git archive HEAD | tar -x -C "$work/r53fwd"
cp -r packaging/debian "$work/r53fwd/debian"
(cd "$work/r53fwd" && dpkg-buildpackage --build=binary --unsigned-changes --unsigned-buildinfo) >"$out/build.log" 2>&1 || {
	cat "$out/build.log" >&2
	exit 1
}
rm -f "$out"/*.deb "$out"/*.tar.xz
lintian --fail-on error,warning,info,pedantic --display-info --tag-display-limit 0 --allow-root --pedantic "$work"/*.changes
mv "$work"/*.deb "$out/"

# For other distributions: the programs and their libraries in one folder that may stand anywhere.
name=r53fwd-$version-linux-$(uname -m)
"$work/r53fwd/packaging/tree.sh" "$work/$name"
install -D -m 644 packaging/debian/r53fwd.service "$work/$name/share/r53fwd/r53fwd.service"
install -D -m 644 packaging/debian/r53fwd.sysusers "$work/$name/share/r53fwd/r53fwd.sysusers"
install -m 644 packaging/tarball.md "$work/$name/README.md"
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -C "$work" -c "$name" | xz -T1 -9 >"$out/$name.tar.xz"
ls -l "$out"
