#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""./dev bench: what a query costs, beside the least that a DNS server can do on this machine.

    ./dev bench [--seconds 4] [--runs 5] [--no-instructions]

Server on the first CPU, dnsperf and the upstream on the second; medians. CPU is user + system time of the whole process over answered
queries. Machines are shared and differ: go by the ratios. Last, callgrind's counts per query, which repeat exactly.
"""
import argparse
import os
import re
import signal
import socket
import statistics
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get('R53FWD_BUILD', ROOT + '/build/release')
R53FWD, REFLECTOR = BUILD + '/r53fwd', BUILD + '/tests/bench_reflector'
LISTEN, PORT, UPSTREAMS, UPSTREAM_PORT = '127.0.31.1', 5391, ['127.0.31.11', '127.0.31.12', '127.0.31.13'], 5392
ZONE = 'bench.example.internal'
TICK = os.sysconf('SC_CLK_TCK')


class Server:
    """A child of ours, on one CPU, ended by its pid."""

    def __init__(self, command, cpu, log=subprocess.DEVNULL):
        self.process = subprocess.Popen(['taskset', '-c', str(cpu)] + command, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=log)

    def cpu_s(self):
        with open(f'/proc/{self.process.pid}/stat') as f:
            return sum(map(int, f.read().rsplit(')', 1)[1].split()[11:13])) / TICK

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def query(name, number):
    labels = b''.join(bytes([len(label)]) + label.encode() for label in name.split('.'))
    return number.to_bytes(2, 'big') + b'\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00' + labels + b'\0\0\1\0\1'


def wait_until_it_answers(ip, port, seconds=20):
    """Asks until an answer comes."""
    end = time.monotonic() + seconds
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(0.1)
        while time.monotonic() < end:
            s.sendto(query('ready.' + ZONE, 1), (ip, port))
            try:
                s.recv(4096)
                return
            except (TimeoutError, ConnectionRefusedError):
                pass
    raise SystemExit(f'nobody answers at {ip}:{port}')


def dnsperf(names, seconds, *options):
    out = subprocess.run(['taskset', '-c', '1', 'dnsperf', '-s', LISTEN, '-p', str(PORT), '-d', names, '-l', str(seconds), '-c', '8',
                          '-q', '128', *options], capture_output=True, text=True, check=True).stdout
    return int(re.search(r'Queries completed:\s+(\d+)', out).group(1)), float(re.search(r'Run time \(s\):\s+([\d.]+)', out).group(1))


def write_names(path, names):
    with open(path, 'w') as f:
        f.writelines(f'{n}.{ZONE} A\n' for n in names)
    return path


def write_config(folder):
    with open(folder + '/zones.conf', 'w') as f:
        f.write(f'listen: ["{LISTEN}:{PORT}"]\nworkers: 1\ninbound-endpoints:\n  bench:\n    addresses:\n')
        f.writelines(f'      - {{ip: {ip}, az: az{i}}}\n' for i, ip in enumerate(UPSTREAMS))
        f.write(f'    port: {UPSTREAM_PORT}\n    max-qps: 10000000\nzones: [{{name: {ZONE}, to: bench}}]\n'
                f'local-upstreams: ["{UPSTREAMS[0]}:{UPSTREAM_PORT}"]\ncache: {{size: 256MiB}}\n')
    return folder + '/zones.conf'


def measure(server, names, seconds, *options):
    """Answered queries per second, CPU microseconds per answered query."""
    before = server.cpu_s()
    answered, took = dnsperf(names, seconds, *options)
    return answered / took, (server.cpu_s() - before) / answered * 1e6


def start(what, folder):
    if what == 'reflector':
        server = Server([REFLECTOR, f'{LISTEN}:{PORT}'], 0)
    else:
        server = Server([R53FWD, '--zones', write_config(folder)], 0)
    wait_until_it_answers(LISTEN, PORT)
    return server


def throughput(folder, seconds, runs):
    known = write_names(folder + '/known', [f'k{i:04d}' for i in range(1000)])
    rows = []
    for workload, options in (('hit', []), ('tcp hit', ['-m', 'tcp']), ('miss', []), ('mixed', [])):
        figures = {'reflector': [], 'r53fwd': []}
        for run in range(runs):
            for what in figures:
                names = known
                if workload in ('miss', 'mixed'):
                    every = 1 if workload == 'miss' else 10
                    names = write_names(folder + '/unique', [f'u{run}x{i}' if i % every == 0 else f'k{i % 1000:04d}'
                                                             for i in range(250000 * int(seconds))])
                with start(what, folder) as server:
                    dnsperf(known, 0.5)
                    figures[what].append(measure(server, names, seconds, *options))
        rows.append((workload, figures))
    return rows


def instructions(folder):
    """Per hit and per miss: the difference between two runs under callgrind, of which one asks more."""
    def count(names):
        out = folder + '/callgrind.out'
        with Server(['valgrind', '--tool=callgrind', f'--callgrind-out-file={out}', R53FWD, '--zones', write_config(folder)], 0) as server:
            wait_until_it_answers(LISTEN, PORT, 60)
            asked, _ = dnsperf(names, 600, '-n', '1')
            assert asked
            del server
        with open(out) as f:
            return int(re.search(r'^(?:summary|totals): (\d+)', f.read(), re.M).group(1))
    base = [f'k{i}' for i in range(1000)]
    once = count(write_names(folder + '/once', base))
    hits = count(write_names(folder + '/hits', base + base * 20))
    misses = count(write_names(folder + '/misses', base + [f'm{i}' for i in range(20000)]))
    return (hits - once) / 20000, (misses - once) / 20000


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--seconds', type=float, default=4)
    parser.add_argument('--runs', type=int, default=5)
    parser.add_argument('--instructions', action=argparse.BooleanOptionalAction, default=True)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix='r53fwd-bench-') as folder, \
            Server([REFLECTOR] + [f'{ip}:{UPSTREAM_PORT}' for ip in UPSTREAMS], 1):
        wait_until_it_answers(UPSTREAMS[0], UPSTREAM_PORT)
        print(f'{"workload":10} {"reflector us":>13} {"r53fwd us":>10} {"ratio":>6} {"reflector qps":>14} {"r53fwd qps":>11}')
        for workload, figures in throughput(folder, args.seconds, args.runs):
            qps = {k: statistics.median(f[0] for f in v) for k, v in figures.items()}
            cpu = {k: statistics.median(f[1] for f in v) for k, v in figures.items()}
            print(f'{workload:10} {cpu["reflector"]:13.2f} {cpu["r53fwd"]:10.2f} {cpu["r53fwd"] / cpu["reflector"]:6.2f} '
                  f'{qps["reflector"]:14,.0f} {qps["r53fwd"]:11,.0f}', flush=True)
        if args.instructions:
            print('instructions per hit %.0f, per miss %.0f (callgrind)' % instructions(folder))


if __name__ == '__main__':
    main()
