# SPDX-License-Identifier: Apache-2.0
"""The contract's fine print, as far as it can be seen from outside: each test quotes the sentence that it holds."""

import signal
import socket
import subprocess

import dns.edns
import dns.flags
import dns.message
import dns.rcode

from lib import (
    AT_ONCE_S,
    LOOPBACK,
    PATIENCE_S,
    R53FWD,
    STEADY,
    Address,
    Case,
    addresses,
    ask,
    count,
    ede,
    endpoint_conf,
    main,
    make_query,
    raw,
    rcode,
    read_frame,
    wait_for,
    zones_conf,
)

WWW = ["10.20.1.1", "10.20.1.2"]


class Routing(Case):
    def test_longest_suffix_wins_on_label_boundaries(self):
        """The longest matching suffix wins, on label boundaries."""
        fwd, sim, world = self.serve(zones=["{name: corp.test, to: seoul}", "{name: legacy.corp.test, to: local}"])
        self.expect(ask(fwd, "www.corp.test"), ips=WWW)
        self.expect(ask(fwd, "legacy.corp.test"), ips=["192.0.2.82"])
        self.expect(ask(fwd, "xcorp.test"), "NXDOMAIN")
        self.assertEqual(sim.count("legacy.corp.test", "A"), 0)
        self.assertGreater(world.count("xcorp.test", "A"), 0)

    def test_forwarded_name_never_goes_to_the_local_upstreams(self):
        """A name at or below a forwarded zone never goes to the local upstreams, whatever fails."""
        fwd, sim, world = self.serve()
        for fault in ("silent", "closed", "rcode SERVFAIL", "rcode REFUSED", "garbage"):
            sim.ctl("all", "heal", *fault.split())
            name = f"{fault.split()[-1]}.corp.test"
            self.assertEqual(addresses(ask(fwd, name)), [])
            self.assertEqual(addresses(ask(fwd, "www.corp.test")), [])
        ask(fwd, "corp.test", "DS")
        self.assertEqual([q.name for q in world.queries() if q.name.endswith("corp.test.")], [])

    def test_chain_is_passed_on_whole_and_not_followed_elsewhere(self):
        """A CNAME chain in an answer is passed on whole, never re-resolved elsewhere."""
        fwd, _, world = self.serve()
        response = self.expect(ask(fwd, "portal.corp.test"), ips=WWW)
        self.assertEqual([r.name.to_text() for r in response.answer], ["portal.corp.test.", "app.corp.test.", "www.corp.test."])
        self.assertEqual(count(self.expect(ask(fwd, "away.corp.test"), ips=[])), 1)
        self.assertEqual(world.count("elsewhere.example"), 0)

    def test_special_names_are_sent_nowhere(self):
        """localhost (and its reverse), invalid, onion and resolver.arpa are answered as RFC 6761, 7686 and 9462 say, never
        sent anywhere."""
        fwd, sim, world = self.serve()
        self.expect(ask(fwd, "localhost"), ips=["127.0.0.1"])
        self.expect(ask(fwd, "any.thing.localhost", "AAAA"), ips=["::1"])
        self.assertEqual(self.expect(ask(fwd, "1.0.0.127.in-addr.arpa", "PTR")).answer[0][0].to_text(), "localhost.")
        for name in ("some.invalid", "abcdef.onion"):
            self.expect(ask(fwd, name), "NXDOMAIN")
        self.assertEqual(count(ask(fwd, "_dns.resolver.arpa", "SVCB")), 0)
        seen = [q.name for q in sim.queries() + world.queries() if q.name.endswith(("localhost.", "invalid.", "onion.", "arpa."))]
        self.assertEqual(seen, [])

    def test_unrouted_private_names_go_to_the_local_upstreams(self):
        """Reverse zones and names like `corp.local` that nobody routed go to the local upstreams."""
        fwd, _, _ = self.serve()
        self.expect(ask(fwd, "host.corp.local"), ips=["192.168.1.1"])
        self.assertEqual(count(self.expect(ask(fwd, "1.1.168.192.in-addr.arpa", "PTR"))), 1)

    def test_ds_of_a_forwarded_apex_goes_to_the_endpoint(self):
        """DS of a forwarded apex goes to the endpoint (asking the parent would leak)."""
        fwd, sim, world = self.serve(endpoint=STEADY)
        self.expect(ask(fwd, "corp.test", "DS"))
        self.assertEqual((sim.count("corp.test", "DS"), world.count("corp.test", "DS")), (1, 0))

    def test_unknown_types_are_forwarded_as_they_are(self):
        """Unknown types are forwarded as they are."""
        fwd, _, _ = self.serve()
        self.assertEqual(ask(fwd, "odd.corp.test", "TYPE65400").answer[0][0].to_text(), "\\# 4 01020304")


class Bits(Case):
    def test_recursion_not_desired_is_for_the_cache_only(self):
        """RD=0: from the cache, else REFUSED."""
        fwd, sim, _ = self.serve()
        self.expect(ask(fwd, "www.corp.test", rd=False), "REFUSED")
        self.assertEqual(sim.count("www.corp.test", "A"), 0)
        ask(fwd, "www.corp.test")
        self.expect(ask(fwd, "www.corp.test", rd=False), ips=WWW)

    def test_udp_answers_never_exceed_1232(self):
        """a UDP answer never exceeds max(512, min(the client's size, 1232))"""
        fwd, _, _ = self.serve()
        for edns, limit in ((None, 512), (256, 512), (900, 900), (4096, 1232), (65535, 1232)):
            self.assertLessEqual(len(raw(fwd, make_query("big.corp.test", "TXT", edns=edns).to_wire(), timeout=5)), limit)

    def test_extended_errors_fit_the_smallest_size(self):
        """EDE texts are cut at a word to fit."""
        fwd, sim, _ = self.serve(count=12, endpoint="policy: ordered, hedge: 10ms")
        sim.ctl("all", "rcode SERVFAIL")
        wire = raw(fwd, make_query("a." * 110 + "corp.test", edns=512).to_wire(), timeout=6)
        self.assertLessEqual(len(wire), 512)
        self.assertEqual(dns.message.from_wire(wire).rcode(), dns.rcode.SERVFAIL)

    def test_aa_is_never_set(self):
        """AA is never set, in local answers neither."""
        fwd, _, _ = self.serve()
        for name in ("www.corp.test", "www.corp.test", "localhost", "none.corp.test", "www.example"):
            self.assertFalse(ask(fwd, name).flags & dns.flags.AA)

    def test_opt_only_to_who_sent_one(self):
        """1232 bytes advertised upstream and downstream; an OPT only to a client that sent one."""
        fwd, sim, _ = self.serve()
        self.assertEqual(ask(fwd, "www.corp.test", edns=None).edns, -1)
        self.assertEqual(ask(fwd, "www.corp.test", edns=4096).payload, 1232)
        self.assertEqual({q.edns for q in sim.queries("www.corp.test")}, {"1232"})

    def test_endpoint_is_never_asked_for_signatures(self):
        """an endpoint is always asked with DO=0 and CD=0, so one entry serves every client"""
        fwd, sim, _ = self.serve(endpoint=STEADY)
        self.expect(ask(fwd, "www.corp.test", dnssec=True, cd=True), ips=WWW)
        self.expect(ask(fwd, "www.corp.test"), ips=WWW)
        self.assertEqual([q.flags for q in sim.queries("www.corp.test", "A")], ["rd"])

    def test_local_routes_carry_do_and_cd(self):
        """for local routes DO and CD are in the key and passed on"""
        fwd, _, world = self.serve()
        for options, bits in (({}, set()), ({"dnssec": True}, {"do"}), ({"cd": True}, {"cd"})):
            before = world.count("www.example", "A")
            ask(fwd, "www.example", **options)
            asked = world.queries("www.example", "A")[before:]
            for q in asked:
                self.assertEqual(set(q.flags.split(",")) & {"do", "cd"}, bits)
            self.assertTrue(asked)
            ask(fwd, "www.example", **options)
            self.assertEqual(world.count("www.example", "A"), before + len(asked))

    def test_client_subnets_are_not_passed_on(self):
        """ECS is not passed on."""
        fwd, sim, _ = self.serve()
        query = make_query("www.corp.test")
        query.use_edns(edns=0, payload=1232, options=[dns.edns.ECSOption("203.0.113.0", 24)])
        response = dns.message.from_wire(raw(fwd, query.to_wire(), timeout=5))
        self.expect(response, ips=WWW)
        self.assertEqual(response.options, ())

    def test_id_port_and_letter_case_are_unpredictable(self):
        """Upstream queries use an unpredictable ID, source port and letter case."""
        fwd, sim, _ = self.serve()
        for i in range(40):
            ask(fwd, f"an-unpredictable-name-{i}.wild.corp.test")
        asked = [q for q in sim.queries(type="A") if q.name.endswith(".wild.corp.test.")]
        self.assertGreater(len({q.id for q in asked}), 30)
        self.assertGreater(len({q.client for q in asked}), 10)
        self.assertGreater(len({"".join("x" if c.isupper() else "." for c in q.spelled if c.isalpha()) for q in asked}), 30)


class Wrong(Case):
    def test_closed_port_starts_the_next_attempt_at_once(self):
        """An ICMP error starts the next attempt at once, leaves this one open, and makes an address at most suspect."""
        fwd, sim, _ = self.serve(endpoint="policy: ordered, hedge: off")
        sim.ctl(0, "closed")
        for name in ("www", "app", "portal"):
            with self.within(AT_ONCE_S):
                self.expect(ask(fwd, f"{name}.corp.test"), ips=WWW)

    def test_address_without_edns_is_asked_without_it(self):
        """FORMERR without OPT: the same address once more without EDNS, remembered 15 minutes."""
        fwd, sim, _ = self.serve(endpoint=STEADY, count=1)
        sim.ctl("all", "no-edns")
        self.expect(ask(fwd, "www.corp.test"), ips=WWW)
        self.assertEqual([q.edns for q in sim.queries("www.corp.test", "A")], ["1232", "-"])
        self.expect(ask(fwd, "app.corp.test"), ips=WWW)
        self.assertEqual([q.edns for q in sim.queries("app.corp.test", "A")], ["-"])

    def test_address_that_loses_letter_case_is_learned(self):
        """case-randomization: learned off for an address that does not echo letter case"""
        fwd, sim, _ = self.serve(count=1)
        sim.ctl("all", "lower-case")

        def is_learned():
            is_learned.asked += 1
            name = f"let-the-letters-be-{is_learned.asked}.wild.corp.test"
            ask(fwd, name)
            return sim.queries(name, "A")[-1].spelled == name + "."

        is_learned.asked = 0
        wait_for(is_learned, patience_s=30, what="learning")
        with self.within(AT_ONCE_S):
            self.expect(ask(fwd, "and-now-at-once.wild.corp.test"), ips=["10.20.1.6"])

    def test_mixed_failures_are_servfail(self):
        """Addresses that fail in different ways: SERVFAIL."""
        fwd, sim, _ = self.serve()
        for i, fault in enumerate(("rcode REFUSED", "rcode NOTIMP", "garbage")):
            sim.ctl(i, fault)
        self.expect(ask(fwd, "www.corp.test"), "SERVFAIL")

    def test_slow_endpoint_is_answered_for_from_stale(self):
        """An endpoint that lives but is slower than `stale-after` is answered for from stale (TTL 30, EDE 3) too."""
        fwd, sim, _ = self.serve(rest="cache: {stale-after: 200ms, prefetch: off}\n")
        ask(fwd, "brief.corp.test")
        sim.ctl("all", "delay 3s")
        stale = wait_for(lambda: (r := ask(fwd, "brief.corp.test")) and ede(r) and r, what="the answer's expiry")
        response = self.expect(stale, ips=["10.20.1.3"], ede_code=3)
        with self.within(0.2 + AT_ONCE_S):
            self.expect(ask(fwd, "brief.corp.test"), ips=["10.20.1.3"], ede_code=3)
        self.assertEqual(response.answer[0].ttl, 30)

    def test_above_every_max_qps_the_reason_is_said(self):
        """Above every max-qps: stale if known, else SERVFAIL with an EDE that says so; burst one second."""
        fwd, sim, _ = self.serve(endpoint="max-qps: 5", count=2, rest="cache: {min-ttl: 0s, prefetch: off}\n")
        self.expect(ask(fwd, "brief.corp.test"), ips=["10.20.1.3"])
        names = (f"q{i}.wild.corp.test" for i in range(10000))

        def too_many():
            """Those that failed, of more than both may be asked in a second."""
            return [r for r in (ask(fwd, next(names)) for _ in range(40)) if r.rcode() == dns.rcode.SERVFAIL]

        failed = too_many()
        self.assertTrue(failed)
        for response in failed:
            self.assertEqual(ede(response), [(22, "seoul: every address is above max-qps")])
        self.assertLess(len([q for q in sim.queries(type="A") if q.name.endswith(".wild.corp.test.")]), 40)
        stale = wait_for(lambda: too_many() and (r := ask(fwd, "brief.corp.test")) and ede(r) and r, what="the answer's expiry")
        self.expect(stale, ips=["10.20.1.3"])
        self.assertEqual(ede(stale), [(3, "every address is above max-qps; this was the last answer")])


class Caching(Case):
    def test_ttl_0_is_not_cached(self):
        """min-ttl does not make TTL 0 cacheable"""
        fwd, sim, _ = self.serve(endpoint=STEADY, rest="cache: {min-ttl: 30s}\n")
        for _ in range(2):
            self.expect(ask(fwd, "never.corp.test"), ips=["10.20.1.4"])
        self.assertEqual(sim.count("never.corp.test", "A"), 2)

    def test_caps_bound_the_ttls_handed_out_first(self):
        """the caps also bound the TTLs handed out first"""
        fwd, _, _ = self.serve(rest="cache: {min-ttl: 30s, max-ttl: 1h, negative-max-ttl: 20s}\n")
        self.assertEqual(ask(fwd, "age.corp.test").answer[0].ttl, 3600)
        self.assertEqual(ask(fwd, "brief.corp.test").answer[0].ttl, 30)
        self.assertEqual(ask(fwd, "none.corp.test").authority[0].ttl, 20)

    def test_negative_answers_are_kept_a_minute_at_the_most(self):
        """negative-max-ttl: 60s: a new record must not stay invisible for the SOA's 15 minutes"""
        fwd, sim, _ = self.serve(endpoint=STEADY)
        self.assertEqual(self.expect(ask(fwd, "none.corp.test"), "NXDOMAIN").authority[0].ttl, 60)
        self.expect(ask(fwd, "none.corp.test"), "NXDOMAIN")
        self.assertEqual(sim.count("none.corp.test"), 1)

    def test_servfail_is_kept_for_a_moment(self):
        """SERVFAIL is kept 1 to 5 s (RFC 9520), never over a good answer"""
        fwd, sim, _ = self.serve()
        self.expect(ask(fwd, "www.corp.test"), ips=WWW)
        sim.ctl("all", "rcode SERVFAIL")
        self.expect(ask(fwd, "v6.corp.test", "AAAA"), "SERVFAIL")
        asked = sim.count("v6.corp.test", "AAAA")
        self.expect(ask(fwd, "v6.corp.test", "AAAA"), "SERVFAIL")
        self.assertEqual(sim.count("v6.corp.test", "AAAA"), asked)
        self.expect(ask(fwd, "www.corp.test"), ips=WWW)
        sim.ctl("all", "heal")
        wait_for(lambda: addresses(ask(fwd, "v6.corp.test", "AAAA")), patience_s=10, what="forgetting the failure")

    def test_caches_of_all_workers_are_one(self):
        """one for all workers: a miss in one worker is a hit in the next"""
        fwd, sim, _ = self.serve(endpoint=STEADY, options=["--workers", "4"])
        ask(fwd, "www.corp.test")
        for _ in range(40):
            self.expect(ask(fwd, "www.corp.test"), ips=WWW)
        self.assertEqual(sim.count("www.corp.test", "A"), 1)


class Tcp(Case):
    def test_half_closed_client_gets_its_answers(self):
        """A half-closed client gets its answers."""
        fwd, _, _ = self.serve(faults=["all,delay 100ms"])
        with socket.create_connection((fwd.ip, fwd.port), timeout=6) as s:
            for i, name in enumerate(("www", "app", "portal")):
                query = make_query(f"{name}.corp.test", id=i).to_wire()
                s.sendall(len(query).to_bytes(2, "big") + query)
            s.shutdown(socket.SHUT_WR)
            self.assertEqual(sorted(dns.message.from_wire(read_frame(s)).id for _ in range(3)), [0, 1, 2])
            self.assertIsNone(read_frame(s))

    def test_answers_overtake_slower_ones(self):
        """Pipelined: a question that is answered from the cache does not wait for the one before it."""
        fwd, sim, _ = self.serve()
        ask(fwd, "www.corp.test")
        sim.ctl("all", "delay 400ms")
        with socket.create_connection((fwd.ip, fwd.port), timeout=6) as s:
            octets = (make_query(f"{name}.corp.test", id=i).to_wire() for i, name in enumerate(("slow.wild", "www")))
            s.sendall(b"".join(len(o).to_bytes(2, "big") + o for o in octets))
            self.assertEqual([dns.message.from_wire(read_frame(s)).id for _ in range(2)], [1, 0])

    def test_any_number_of_questions_on_one_connection(self):
        """at most 100 unanswered questions each: the rest waits in the connection, none is lost"""
        fwd, _, _ = self.serve(faults=["all,delay 50ms"])
        with socket.create_connection((fwd.ip, fwd.port), timeout=6) as s:
            for i in range(250):
                query = make_query(f"n{i}.wild.corp.test", id=i).to_wire()
                s.sendall(len(query).to_bytes(2, "big") + query)
            self.assertEqual(sorted(dns.message.from_wire(read_frame(s)).id for _ in range(250)), list(range(250)))

    def test_idle_connection_is_closed(self):
        """tcp: {idle: …}"""
        fwd, _, _ = self.serve(rest="tcp: {idle: 300ms}\n")
        with socket.create_connection((fwd.ip, fwd.port), timeout=6) as s:
            self.assertIsNone(read_frame(s))

    def test_longest_idle_makes_room_at_the_limit(self):
        """at the limit the longest idle is closed"""
        fwd, _, _ = self.serve(rest="workers: 1\ntcp: {connections: 2}\n")
        query = make_query("www.corp.test").to_wire()
        frame = len(query).to_bytes(2, "big") + query
        connections = []
        for _ in range(3):
            s = socket.create_connection((fwd.ip, fwd.port), timeout=6)
            self.addCleanup(s.close)
            s.sendall(frame)
            self.assertEqual(rcode(read_frame(s)), "NOERROR")
            connections.append(s)
        self.assertIsNone(read_frame(connections[0]))


    def test_longest_idle_of_a_client_makes_room_at_its_own_limit(self):
        """per-client: at the limit its longest idle is closed, whichever worker it is at; others lose nothing"""
        fwd, _, _ = self.serve(rest="workers: 4\ntcp: {per-client: 3, idle: 60s}\n")
        query = make_query("www.corp.test").to_wire()
        frame = len(query).to_bytes(2, "big") + query
        connections = []
        for i in range(13):
            s = socket.create_connection((fwd.ip, fwd.port), source_address=(f"127.99.0.{1 if i else 2}", 0), timeout=PATIENCE_S)
            self.addCleanup(s.close)
            s.sendall(frame)
            self.assertEqual(rcode(read_frame(s)), "NOERROR")  # nobody is refused
            connections.append(s)
        self.assertIsNone(read_frame(connections[1]))
        connections[0].sendall(frame)
        self.assertEqual(rcode(read_frame(connections[0])), "NOERROR")

    def test_longest_idle_makes_room_whatever_address_and_worker_it_is_at(self):
        """at the limit the longest idle is closed"""
        ip = LOOPBACK.ip()
        other = Address(ip, LOOPBACK.port(ip), "")
        for workers in (1, 4):
            with self.subTest(workers=workers):
                sim = self.sim(name=f"sim{workers}")
                conf = zones_conf([endpoint_conf(sim)], self.QUIET_ZONES, rest=f"workers: {workers}\ntcp: {{connections: 3, idle: 60s}}\n")
                fwd = self.forwarder(conf, name=f"r53fwd{workers}", more=[f"{other.ip}:{other.port}"])
                query = make_query("www.corp.test").to_wire()
                frame = len(query).to_bytes(2, "big") + query
                connections = []
                for i in range(12):
                    at = other if i % 2 else fwd
                    s = socket.create_connection((at.ip, at.port), timeout=PATIENCE_S)
                    self.addCleanup(s.close)
                    s.sendall(frame)
                    self.assertEqual(rcode(read_frame(s)), "NOERROR")  # nobody is refused
                    connections.append(s)
                self.assertIsNone(read_frame(connections[0]))
                fwd.stop()


class Bounds(Case):
    def test_hundreds_of_questions_wait_over_tcp_as_they_do_over_udp(self):
        """8,192 unanswered questions a worker"""
        sim = self.sim(count=1, faults=["all,delay 300ms"])  # slow from the first question on: nothing is in doubt
        conf = zones_conf([endpoint_conf(sim, extra="transport: tcp, hedge: off")], self.QUIET_ZONES, rest="workers: 1\n")
        fwd = self.forwarder(conf)
        wait_for(lambda: all(a["queries"] > 0 and a["rtt_ms"] for a in self.addresses_of(fwd)), what="the first probe")
        clients = [socket.create_connection((fwd.ip, fwd.port), timeout=PATIENCE_S) for _ in range(9)]
        for k, client in enumerate(clients):
            octets = (make_query(f"q{k}-{i}.wild.corp.test").to_wire() for i in range(100))
            client.sendall(b"".join(len(o).to_bytes(2, "big") + o for o in octets))
        answers = [rcode(read_frame(client)) for client in clients for _ in range(100)]
        for client in clients:
            client.close()
        self.assertEqual(answers.count("NOERROR"), 900)
        self.assertEqual(len({q.client for q in sim.queries(proto="tcp") if q.name.endswith(".wild.corp.test.")}), 1)


class Life(Case):
    def run_fwd(self, *argv):
        return subprocess.run([R53FWD, *argv], capture_output=True, text=True, timeout=30, check=False)

    def test_queries_are_logged_as_asked_for(self):
        """log: {queries: off | errors | all}"""
        fwd, _, _ = self.serve(rest="log: {queries: all}\n")
        ask(fwd, "www.corp.test")
        ask(fwd, "www.corp.test")
        ask(fwd, "nothing.corp.test", "AAAA")
        wait_for(lambda: "query nothing.corp.test AAAA from" in fwd.text(), what="the line")
        self.assertIn("NOERROR, seoul", fwd.text())
        self.assertIn("NOERROR, from the cache", fwd.text())

    def test_failed_queries_alone_are_logged(self):
        """log: {queries: errors}"""
        fwd, _, _ = self.serve(rest="log: {queries: errors}\n", faults=["all,rcode REFUSED"])
        ask(fwd, "www.example")
        ask(fwd, "www.corp.test")
        wait_for(lambda: "query www.corp.test A from" in fwd.text(), what="the line")
        self.assertNotIn("query www.example", fwd.text())

    def test_sigterm_and_sigint_end_it_with_0(self):
        """serve until SIGTERM/SIGINT; 0 clean stop"""
        fwd, sim, world = self.serve()
        again = self.forwarder(zones_conf([endpoint_conf(sim)], ["{name: corp.test, to: seoul}"], world), name="again")
        for program, number in ((fwd, signal.SIGTERM), (again, signal.SIGINT)):
            program.signal(number)
            self.assertEqual(program.wait(), 0)

    def test_what_is_in_flight_is_answered_before_the_end(self):
        fwd, sim, _ = self.serve(faults=["all,delay 300ms"])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(5)
            s.connect((fwd.ip, fwd.port))
            s.send(make_query("www.corp.test").to_wire())
            wait_for(lambda: sim.count("www.corp.test", "A"))
            fwd.signal(signal.SIGTERM)
            self.assertEqual(rcode(s.recv(4096)), "NOERROR")
        self.assertEqual(fwd.wait(), 0)

    def test_bad_use_is_2_and_what_cannot_start_is_1(self):
        """exit status: 1 cannot start, 2 usage"""
        fwd, _, _ = self.serve()
        self.assertEqual(self.run_fwd("--nonsense").returncode, 2)
        taken = self.run_fwd("--zones", fwd.conf)
        self.assertEqual(taken.returncode, 1)
        self.assertIn(str(fwd.port), taken.stderr)
        self.expect(ask(fwd, "www.corp.test"), ips=WWW)
        missing = self.run_fwd("--zones", "/nowhere/zones.conf")
        self.assertEqual((missing.returncode, missing.stdout), (1, ""))

    def test_reload_takes_the_new_file_or_leaves_the_old(self):
        """SIGHUP reloads. A file that does not load never replaces one that did."""
        fwd, sim, world = self.serve(zones=["{name: hasty.test, to: seoul}"])
        self.expect(ask(fwd, "www.corp.test"), ips=["192.0.2.83"])
        conf = zones_conf([endpoint_conf(sim)], ["{name: corp.test, to: seoul}"], world)
        fwd.reload(conf)
        wait_for(lambda: addresses(ask(fwd, "v6.corp.test", "AAAA")), what="the reload")
        self.expect(ask(fwd, "www.corp.test"), ips=WWW)
        before = len(fwd.text())
        fwd.reload("zones: nonsense\n")
        wait_for(lambda: len(fwd.text()) > before, what="the complaint")
        self.expect(ask(fwd, "app.corp.test"), ips=WWW)

    def test_source_ports_change_at_a_reload(self):
        """Reload changes everything but `workers` and `control`."""
        sim = self.sim(count=1)

        def conf(ports):
            return zones_conf([endpoint_conf(sim, extra=f"source-ports: {ports}")], self.QUIET_ZONES, rest="workers: 1\n")

        def ports(letter):
            for i in range(100):
                ask(fwd, f"{letter}{i}.wild.corp.test")
            return len({q.client for q in sim.queries() if q.name.startswith(letter)})

        fwd = self.forwarder(conf(512))
        self.assertGreater(ports("a"), 18)
        fwd.write_conf(conf(32))
        fwd.command("reload")
        # 14 are the prober's, and a name may be asked twice on a busy machine: from the same ports.
        self.assertLessEqual(ports("b"), 18)

    def test_cache_outlives_a_reload(self):
        """cache, health, drains and TCP connections live on"""
        fwd, sim, world = self.serve(endpoint=STEADY)
        ask(fwd, "www.corp.test")
        with socket.create_connection((fwd.ip, fwd.port), timeout=6) as s:
            query = make_query("www.corp.test").to_wire()
            s.sendall(len(query).to_bytes(2, "big") + query)
            read_frame(s)
            zones = ["{name: [corp.test, hasty.test], to: seoul}", "{name: new.test, to: seoul}"]
            fwd.reload(zones_conf([endpoint_conf(sim, extra=STEADY)], zones, world))
            wait_for(lambda: ask(fwd, "new.test").rcode() == dns.rcode.REFUSED, what="the reload")
            s.sendall(len(query).to_bytes(2, "big") + query)
            self.assertEqual(rcode(read_frame(s)), "NOERROR")
        self.assertEqual(sim.count("www.corp.test", "A"), 1)

    def test_local_upstreams_come_from_resolv_conf(self):
        """By default: the nameservers of the first file that names someone other than ourselves. None at start: a warning;
        forwarded zones are served, other names get SERVFAIL with an EDE."""
        sim = self.sim()
        conf = "inbound-endpoints:\n" + endpoint_conf(sim) + "zones:\n  - {name: corp.test, to: seoul}\n"
        resolv = f"{self.stage.folder}/resolv.conf"
        fwd = self.forwarder(conf, env={"R53FWD_RESOLV_CONF": resolv})
        self.expect(ask(fwd, "www.corp.test"), ips=WWW)
        response = self.expect(ask(fwd, "www.example"), "SERVFAIL")
        self.assertTrue(ede(response))


if __name__ == "__main__":
    main()
