#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds every fuzz target as OSS-Fuzz wants it, from the environment that its base-builder sets: CC, CFLAGS, CXX, CXXFLAGS,
# LIB_FUZZING_ENGINE, OUT, WORK. The libraries must be there (ldns, libuv, libyaml, jansson, libseccomp, libmicrohttpd), with CMake 3.25 and
# Ninja. Where targets run nobody has installed these libraries: they are taken along, in OUT/lib. On a machine of one's own:
#
#     export CC=clang CXX=clang++ CFLAGS='-O1 -g -fsanitize=address,undefined,fuzzer-no-link' LIB_FUZZING_ENGINE=-fsanitize=fuzzer
#     CXXFLAGS=$CFLAGS OUT=/tmp/fuzzers WORK=/tmp/fuzzers-work tests/fuzz/oss-fuzz-build.sh
#
# `./dev test --system` does so, and runs what comes out.
set -euo pipefail
: "${CC:?}" "${CFLAGS:?}" "${CXX:?}" "${CXXFLAGS:?}" "${LIB_FUZZING_ENGINE:?}" "${OUT:?}" "${WORK:?}"
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=$WORK/r53fwd
mkdir -p "$OUT/lib"

# The engine is C++: whatever it wants, the C++ compiler links. $ORIGIN is the loader's word, not the shell's; the old kind of path holds
# for what a library needs of another, too.
# shellcheck disable=SC2016
cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=None -DCMAKE_C_COMPILER="$CC" -DCMAKE_C_FLAGS="$CFLAGS" \
	-DCMAKE_CXX_COMPILER="$CXX" -DCMAKE_CXX_FLAGS="$CXXFLAGS" -DR53FWD_FUZZ_ENGINE="$LIB_FUZZING_ENGINE" \
	-DCMAKE_BUILD_RPATH='$ORIGIN/lib' -DCMAKE_EXE_LINKER_FLAGS=-Wl,--disable-new-dtags >/dev/null
targets=()
for file in "$root"/tests/fuzz/fuzz_*.c; do
	name=${file##*/fuzz_}
	targets+=("fuzz_${name%.c}")
done
cmake --build "$build" --target "${targets[@]}"

for target in "${targets[@]}"; do
	name=${target#fuzz_}
	cp "$build/tests/$target" "$OUT/"
	(cd "$root/tests/fuzz/corpus/$name" && python3 -m zipfile -c "$OUT/${target}_seed_corpus.zip" ./*)
	if [[ -e $root/tests/fuzz/dict/$name.dict ]]; then cp "$root/tests/fuzz/dict/$name.dict" "$OUT/$target.dict"; fi
	# All but what comes with the compiler and the C library.
	ldd "$build/tests/$target" | awk '$2 == "=>" && $1 !~ /^lib(c|m|dl|rt|pthread|resolv|gcc_s|stdc\+\+)\.so/ { print $3 }' |
		xargs -r cp -t "$OUT/lib"
done
ls "$OUT" "$OUT/lib"
