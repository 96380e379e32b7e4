#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds every fuzz target as OSS-Fuzz wants it, from its environment: CC, CFLAGS, LIB_FUZZING_ENGINE, OUT; SRC is not needed. The libraries
# must be there (ldns, libuv, libyaml, jansson, libseccomp). On a machine of one's own:
#
#     CC=clang CFLAGS='-O1 -g -fsanitize=address,undefined,fuzzer-no-link' LIB_FUZZING_ENGINE=-fsanitize=fuzzer OUT=/tmp/fuzzers \
#         tests/fuzz/oss-fuzz-build.sh
set -euo pipefail
: "${CC:?}" "${CFLAGS:?}" "${LIB_FUZZING_ENGINE:?}" "${OUT:?}"
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=${WORK:-$(mktemp -d)}
mkdir -p "$OUT"

cmake -S "$root" -B "$work/r53fwd" -G Ninja -DCMAKE_BUILD_TYPE=None -DCMAKE_C_COMPILER="$CC" -DCMAKE_C_FLAGS="$CFLAGS" \
	-DR53FWD_FUZZ_ENGINE="$LIB_FUZZING_ENGINE" >/dev/null
targets=()
for file in "$root"/tests/fuzz/fuzz_*.c; do
	name=${file##*/fuzz_}
	targets+=("fuzz_${name%.c}")
done
cmake --build "$work/r53fwd" --target "${targets[@]}"
for target in "${targets[@]}"; do
	name=${target#fuzz_}
	cp "$work/r53fwd/tests/$target" "$OUT/"
	if [[ -d $root/tests/fuzz/corpus/$name ]]; then
		(cd "$root/tests/fuzz/corpus/$name" && python3 -m zipfile -c "$OUT/${target}_seed_corpus.zip" ./*)
	fi
	case $name in
	config) cp "$root/tests/fuzz/dict/config.dict" "$OUT/$target.dict" ;;
	forward) ;; # its input is a schedule
	*) cp "$root/tests/fuzz/dict/dns.dict" "$OUT/$target.dict" ;;
	esac
done
ls "$OUT"
