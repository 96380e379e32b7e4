#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of fuzz_forward to corpus/forward/ beside this file: schedules by lot, a short and a long one for each way to choose
their octets. A fuzzer finds better ones; these make the replay walk through every kind of event."""

import random

from make_corpus import write


def schedule(seed, length, most):
    lot = random.Random(seed)
    return bytes(lot.randrange(most) for _ in range(length))


SEEDS = {"nothing": b""}
for octets in (16, 64, 256):
    SEEDS[f"short_below_{octets}"] = schedule(octets, 64, octets)
    SEEDS[f"long_below_{octets}"] = schedule(octets, 500, octets)
write("forward", SEEDS)
