#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What r53fwd costs at rest, at the start, and as things grow. Python's standard library, dnsperf, valgrind.

    ./dev bench; python3 tests/bench/growth.py [rest] [start] [workers] [names] [zones] [addresses]
"""
import os
import re
import subprocess
import sys
import tempfile
import time

import run
from run import LISTEN, PORT, REFLECTOR, R53FWD, UPSTREAM_PORT, Server, ZONE, dnsperf, wait_until_it_answers, write_names


def config(folder, workers=1, zones=1, addresses=3):
    """A zones.conf with that many zones, of which the first is the one that is asked."""
    with open(folder + '/zones.conf', 'w') as f:
        f.write(f'listen: ["{LISTEN}:{PORT}"]\nworkers: {workers}\ninbound-endpoints:\n  bench:\n    addresses:\n')
        f.writelines(f'      - {{ip: 127.0.31.{11 + i}, az: az{i}}}\n' for i in range(addresses))
        f.write(f'    port: {UPSTREAM_PORT}\n    max-qps: 10000000\nzones:\n  - {{name: {ZONE}, to: bench}}\n')
        f.writelines(f'  - {{name: z{i}.example.internal, to: bench}}\n' for i in range(zones - 1))
        f.write(f'local-upstreams: ["127.0.31.11:{UPSTREAM_PORT}"]\ncache: {{size: 512MiB}}\n')
    return folder + '/zones.conf'


def pss_kib(pid):
    with open(f'/proc/{pid}/smaps_rollup') as f:
        return int(re.search(r'^Pss:\s+(\d+)', f.read(), re.M).group(1))


def user_us(server, names, seconds=3):
    """User time per query: what is ours of a query's cost, the kernel left out."""
    def ticks():
        with open(f'/proc/{server.process.pid}/stat') as f:
            return int(f.read().rsplit(')', 1)[1].split()[11])
    before = ticks()
    answered, _ = dnsperf(names, seconds)
    return (ticks() - before) / run.TICK / answered * 1e6


def serving(folder, **plan):
    server = Server([R53FWD, '--zones', config(folder, **plan)], '0,1' if plan.get('workers', 1) > 1 else 0)
    wait_until_it_answers(LISTEN, PORT, 60)
    return server


def rest(folder):
    with serving(folder, workers=2) as s:
        print(f'at rest, two workers: PSS {pss_kib(s.process.pid) / 1024:.1f} MiB')
    size = os.path.getsize(R53FWD)
    stripped = folder + '/stripped'
    subprocess.run(['strip', '-o', stripped, R53FWD], check=True)
    print(f'binary: {size / 1024:.0f} KiB with debug information, {os.path.getsize(stripped) / 1024:.0f} KiB stripped')


def start(folder):
    for zones in (10, 1000, 100000):
        path = config(folder, zones=zones)
        took = []
        for _ in range(5):
            begin = time.monotonic()
            with Server([R53FWD, '--zones', path], 0):
                wait_by_asking_often()
                took.append((time.monotonic() - begin) * 1000)
        print(f'first answer after exec with {zones} zones: {sorted(took)[2]:.0f} ms')


def wait_by_asking_often():
    import socket
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(0.002)
        s.connect((LISTEN, PORT))
        while True:
            try:
                s.send(run.query('localhost', 7))
                s.recv(512)
                return
            except (TimeoutError, ConnectionRefusedError):
                pass


def instructions(folder, names, **plan):
    out = folder + '/callgrind.out'
    command = ['valgrind', '--tool=callgrind', f'--callgrind-out-file={out}', R53FWD, '--zones', config(folder, **plan)]
    with Server(command, '0,1') as server:
        wait_until_it_answers(LISTEN, PORT, 120)
        dnsperf(names, 600, '-n', '1')
        del server
    with open(out) as f:
        return int(re.search(r'^(?:summary|totals): (\d+)', f.read(), re.M).group(1))


def workers(folder):
    base = [f'k{i}' for i in range(1000)]
    once, many = write_names(folder + '/once', base), write_names(folder + '/many', base * 41)
    for count in (1, 2):
        per_hit = (instructions(folder, many, workers=count) - instructions(folder, once, workers=count)) / 40000
        print(f'instructions per hit with {count} worker(s): {per_hit:.0f}')
    with open(folder + '/log', 'w') as log:
        server = Server([R53FWD, '--zones', config(folder, workers=2)], '0,1', log)
        with server:
            wait_until_it_answers(LISTEN, PORT)
            dnsperf(once, 5)
    with open(folder + '/log') as log:
        served, contended = map(int, re.search(r'served (\d+) queries.* (\d+) locks contended', log.read()).groups())
    print(f'locks contended with 2 workers: {contended} of {served} look-ups, {100 * contended / served:.4f} %')


def names(folder):
    for count in (1000, 10000, 100000, 1000000):
        path = write_names(folder + '/names', [f'n{i}' for i in range(count)])
        with serving(folder) as s:
            before = pss_kib(s.process.pid)
            dnsperf(path, 600, '-n', '1')
            grown = (pss_kib(s.process.pid) - before) * 1024 / count
            print(f'{count} names: user {user_us(s, path):.2f} us per hit, {grown:.0f} bytes each')


def zones(folder):
    path = write_names(folder + '/names', [f'n{i}' for i in range(1000)])
    for count in (10, 1000, 100000):
        with serving(folder, zones=count) as s:
            dnsperf(path, 600, '-n', '1')
            print(f'{count} zones: user {user_us(s, path):.2f} us per hit, PSS {pss_kib(s.process.pid) / 1024:.1f} MiB')


def addresses(folder):
    for count in (1, 3, 6):
        path = write_names(folder + '/unique', [f'a{count}x{i}' for i in range(900000)])
        with serving(folder, addresses=count) as s:
            print(f'{count} addresses: user {user_us(s, path):.2f} us per miss')


def main():
    parts = {f.__name__: f for f in (rest, start, workers, names, zones, addresses)}
    with tempfile.TemporaryDirectory(prefix='r53fwd-bench-') as folder, \
            Server([REFLECTOR] + [f'127.0.31.{11 + i}:{UPSTREAM_PORT}' for i in range(6)], 1):
        wait_until_it_answers('127.0.31.11', UPSTREAM_PORT)
        for name in sys.argv[1:] or parts:
            parts[name](folder)


if __name__ == '__main__':
    main()
