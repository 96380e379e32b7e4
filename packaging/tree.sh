#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tree.sh [--libc] FOLDER [PROGRAM...]: lays the programs (all of them if none is named) out in FOLDER with the libraries they need beside
# them, so that the folder works wherever it is put. The tarball and the container images are made of it. The C library stays the host's;
# with --libc it comes along, for an image.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

libc=no
if [[ ${1:-} == --libc ]]; then
	libc=yes
	shift
fi
out=${1:?tree.sh wants a folder}
shift
programs=("$@")
build=build/tree
log=build/tree.log

# As Debian's packages are built; a path of this machine must not end up in them.
flags=$(DEB_BUILD_MAINT_OPTIONS=hardening=+all dpkg-buildflags --export=sh)
eval "$flags"
# DT_RPATH, not DT_RUNPATH: what a library needs is looked for there as well.
export LDFLAGS="$LDFLAGS -Wl,--disable-new-dtags"
mkdir -p build
# shellcheck disable=SC2016 # $ORIGIN is for the loader
{
	cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release "-DCMAKE_C_FLAGS_RELEASE=-O2 -g -fno-omit-frame-pointer" \
		-DR53FWD_TESTS=OFF -DCMAKE_INSTALL_LIBDIR=lib '-DCMAKE_INSTALL_RPATH=$ORIGIN/../lib' &&
		cmake --build "$build" -j "$(nproc)" &&
		cmake --install "$build" --prefix "$out" --strip
} >"$log" 2>&1 || {
	cat "$log" >&2
	exit 1
}

# Only what was asked for stays.
if [[ ${#programs[@]} -gt 0 ]]; then
	for program in "$out"/bin/*; do
		[[ " ${programs[*]} " == *" ${program##*/} "* ]] || rm "$program"
	done
fi

# What belongs to the C library: bound to the loader, so never taken without it.
is_libc() {
	case ${1##*/} in
	libc.so.* | libm.so.* | libpthread.so.* | libdl.so.* | librt.so.* | libresolv.so.* | ld-linux*) return 0 ;;
	esac
	return 1
}

libraries() {
	ldd "$out"/bin/* | awk '$2 == "=>" && $3 ~ /^\// {print $3} $1 ~ /ld-linux/ {print $1}' | LC_ALL=C sort -u
}

mkdir -p "$out/lib" "$out/share/doc/r53fwd/licences"
while read -r library; do
	if is_libc "$library"; then
		[[ $libc == yes ]] || continue
		case $library in */ld-linux*)
			install -D -m 755 "$library" "$out$library"
			continue
			;;
		esac
	fi
	install -m 644 "$library" "$out/lib/"
	package=$(dpkg-query -S "$(realpath "$library")" 2>/dev/null || dpkg-query -S "$library")
	package=${package%%:*}
	install -m 644 "/usr/share/doc/$package/copyright" "$out/share/doc/r53fwd/licences/$package"
done < <(libraries)
install -m 644 LICENSE "$out/share/doc/r53fwd/licences/r53fwd"
