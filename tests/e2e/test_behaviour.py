# SPDX-License-Identifier: Apache-2.0
"""The contract's table "Behaviour on the wire", row by row. docs/behaviour.md says which test holds which row."""

import os
import socket
import struct
import time
import unittest

import dns.flags
import dns.message
import dns.opcode
import dns.rcode

from lib import (
    AT_ONCE_S,
    CORP,
    LOOPBACK,
    STEADY,
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
    wait_for,
    zones_conf,
)

WWW = ["10.20.1.1", "10.20.1.2"]


class Cache(Case):
    """| fresh in cache | at once, TTLs counted down, the client's ID, question spelling (letter case) and RD/CD copied |"""

    def test_fresh_answer_comes_from_the_cache_with_its_ttl_counted_down(self):
        fwd, sim, _ = self.serve(endpoint=STEADY)
        self.assertEqual(self.expect(ask(fwd, "www.corp.test"), ips=WWW).answer[0].ttl, 60)
        sim.ctl("all", "silent")
        later = wait_for(lambda: (r := ask(fwd, "www.corp.test")).answer[0].ttl < 60 and r, what="counting down")
        self.expect(later, ips=WWW)
        with self.within(AT_ONCE_S):
            ask(fwd, "www.corp.test")
        self.assertEqual(sim.count("www.corp.test", "A"), 1)

    def test_cached_answer_has_the_askers_id_spelling_and_bits(self):
        fwd, sim, _ = self.serve(endpoint=STEADY)
        ask(fwd, "www.corp.test")
        for name, rd, cd in (("WWW.corp.TEST", True, True), ("wWw.CoRp.test", False, False)):
            response = ask(fwd, name, id=4711, rd=rd, cd=cd)
            self.expect(response, ips=WWW)
            self.assertEqual(response.id, 4711)
            self.assertEqual(response.question[0].name.to_text(), name + ".")
            self.assertEqual(bool(response.flags & dns.flags.RD), rd)
            self.assertEqual(bool(response.flags & dns.flags.CD), cd)
        self.assertEqual(sim.count("www.corp.test", "A"), 1)


class OneAddressSilent(Case):
    """| one address silent | the query is also sent to another AZ after the hedge delay; the first valid answer wins; the client
    sees one answer |"""

    def test_silent_address_is_hedged_in_another_az(self):
        fwd, sim, _ = self.serve_settled()
        ask(fwd, "never.corp.test")
        sim.ctl(0, "silent")
        with self.within(1.5):
            self.expect(ask(fwd, "www.corp.test"), ips=WWW)
        asked = [q.az for q in sim.queries("www.corp.test", "A")]
        self.assertEqual(asked[0], "az1")
        self.assertIn(asked[1], ("az2", "az3"))

    def test_client_sees_one_answer(self):
        fwd, sim, _ = self.serve()
        sim.ctl(0, "delay 500ms")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.connect((fwd.ip, fwd.port))
            s.settimeout(5)
            s.send(make_query("www.corp.test").to_wire())
            self.assertEqual(rcode(s.recv(4096)), "NOERROR")
            # The slow address answers as well, which must not reach us.
            s.settimeout(1)
            with self.assertRaises(TimeoutError):
                s.recv(4096)

    def check_foreign(self, fault):
        """Only a datagram from the right place with our id *and* question touches an attempt; all else is ignored and counted."""
        fwd, sim, _ = self.serve_settled()
        sim.ctl(0, fault)
        self.expect(ask(fwd, "www.corp.test"), ips=WWW)
        first, second, *_ = (q.az for q in sim.queries("www.corp.test", "A"))
        self.assertEqual(first, "az1")
        self.assertNotEqual(second, "az1")

    def test_answer_with_a_foreign_id_is_none(self):
        self.check_foreign("wrong-id")

    def test_answer_to_a_foreign_question_is_none(self):
        self.check_foreign("wrong-question")


class OneAddressFails(Case):
    """| an address answers SERVFAIL, REFUSED, NOTIMP or garbage | one address in each of at most two other AZs is asked at once; if all
    fail so: the stale answer if there is one, else that rcode |"""

    def check(self, fault):
        fwd, sim, _ = self.serve_settled()
        ask(fwd, "never.corp.test")
        sim.ctl(0, fault)
        with self.within(AT_ONCE_S):
            self.expect(ask(fwd, "www.corp.test"), ips=WWW)
        self.assertEqual([q.az for q in sim.queries("www.corp.test", "A")][0], "az1")

    def test_servfail_of_one_is_answered_by_another(self):
        self.check("rcode SERVFAIL")

    def test_refused_of_one_is_answered_by_another(self):
        self.check("rcode REFUSED")

    def test_notimp_of_one_is_answered_by_another(self):
        self.check("rcode NOTIMP")

    def test_formerr_of_one_is_answered_by_another(self):
        """FORMERR counts like NOTIMP"""
        self.check("rcode FORMERR")

    def test_garbage_of_one_is_answered_by_another(self):
        self.check("garbage")

    def check_all(self, text):
        fwd, sim, _ = self.serve(endpoint=STEADY, count=5)
        sim.ctl("all", f"rcode {text}")
        with self.within(AT_ONCE_S):
            self.expect(ask(fwd, "www.corp.test"), text)
        asked = [q.az for q in sim.queries("www.corp.test", "A")]
        self.assertEqual(len(asked), 3)
        self.assertEqual(len(set(asked)), 3)

    def test_servfail_of_three_azs_is_the_answer(self):
        self.check_all("SERVFAIL")

    def test_refused_of_three_azs_is_the_answer(self):
        self.check_all("REFUSED")

    def test_notimp_of_three_azs_is_the_answer(self):
        self.check_all("NOTIMP")

    def test_failure_of_all_is_answered_stale(self):
        fwd, sim, _ = self.serve()
        self.expect(ask(fwd, "brief.corp.test"), ips=["10.20.1.3"])
        sim.ctl("all", "rcode SERVFAIL")
        response = wait_for(lambda: (r := ask(fwd, "brief.corp.test")).answer[0].ttl == 30 and r, what="the end of the TTL")
        self.expect(response, ips=["10.20.1.3"], ede_code=3)


class AllOut(Case):
    """| every address of every endpoint of the zone is out, name known (even expired, within `serve-stale`) | the stale answer,
    TTL 30, EDE 3 (19 for NXDOMAIN); at once when the endpoint is already known to be down, else no later than `stale-after` |
    | …, name not known | SERVFAIL with EDE 22 or 23 and a text that names the endpoint and what each address did; within 4 s,
    at once when known to be down |"""

    def expire(self, fwd, sim, *names):
        """Asks for the names, takes the endpoint away, and returns once the answers have expired."""
        for name in names:
            ask(fwd, name)
        begun = time.monotonic()
        sim.ctl("all", "silent")
        time.sleep(max(0, begun + 1.2 - time.monotonic()))

    def test_known_name_is_answered_stale_no_later_than_stale_after(self):
        fwd, sim, _ = self.serve()
        self.expire(fwd, sim, "brief.corp.test")
        with self.within(1.8 + AT_ONCE_S):
            response = self.expect(ask(fwd, "brief.corp.test"), ips=["10.20.1.3"], ede_code=3)
        self.assertEqual(response.answer[0].ttl, 30)

    def test_stale_after_is_obeyed(self):
        fwd, sim, _ = self.serve(rest="cache: {stale-after: 300ms}\n")
        self.expire(fwd, sim, "brief.corp.test")
        with self.within(0.3 + AT_ONCE_S):
            self.expect(ask(fwd, "brief.corp.test"), ips=["10.20.1.3"], ede_code=3)

    def test_known_absence_is_answered_stale_with_ede_19(self):
        fwd, sim, _ = self.serve()
        self.expire(fwd, sim, "none.hasty.test")
        response = self.expect(ask(fwd, "none.hasty.test"), "NXDOMAIN", ede_code=19)
        self.assertEqual(response.authority[0].ttl, 30)

    def test_unknown_name_is_servfail_with_the_reason(self):
        fwd, sim, _ = self.serve()
        sim.ctl("all", "silent")
        with self.within(4 + AT_ONCE_S):
            response = self.expect(ask(fwd, "www.corp.test"), "SERVFAIL", ede_code=22)
        text = dict(ede(response))[22]
        self.assertIn("seoul", text)
        for address in sim.addresses:
            self.assertIn(address.ip, text)

    def test_closed_ports_are_ede_23(self):
        fwd, sim, _ = self.serve()
        sim.ctl("all", "closed")
        with self.within(4 + AT_ONCE_S):
            response = self.expect(ask(fwd, "www.corp.test"), "SERVFAIL", ede_code=23)
        self.assertIn("seoul", dict(ede(response))[23])

    def test_down_endpoint_is_answered_for_at_once(self):
        fwd, sim, _ = self.serve()
        self.expire(fwd, sim, "brief.corp.test")

        def is_down():
            begun = time.monotonic()
            self.expect(ask(fwd, "www.corp.test"), "SERVFAIL")
            return time.monotonic() - begun < AT_ONCE_S

        wait_for(is_down, patience_s=30, what="noticing that the endpoint is down")
        with self.within(AT_ONCE_S):
            self.expect(ask(fwd, "brief.corp.test"), ips=["10.20.1.3"], ede_code=3)
        with self.within(AT_ONCE_S):
            self.expect(ask(fwd, "v6.corp.test", "AAAA"), "SERVFAIL", ede_code=22)

    def test_first_answer_opens_a_down_endpoint_again(self):
        """one probe every 500 ms goes round the addresses, and the first answer opens it again"""
        fwd, sim, _ = self.serve()
        sim.ctl("all", "silent")
        self.expect(ask(fwd, "www.corp.test"), "SERVFAIL")
        sim.ctl("all", "heal")
        wait_for(lambda: addresses(ask(fwd, "v6.corp.test", "AAAA")), patience_s=10, what="coming back")
        self.expect(ask(fwd, "www.corp.test"), ips=WWW)

    def test_second_endpoint_answers_while_the_first_is_down(self):
        """{name: …, to: [seoul, tokyo]}: tokyo only while seoul is wholly down"""
        seoul, world = self.sim(count=2), self.world()
        tokyo = self.sim(zones=[CORP.replace("10.20.", "10.30.")], count=2, name="tokyo")
        conf = zones_conf(
            [endpoint_conf(seoul), endpoint_conf(tokyo, "tokyo")], ["{name: corp.test, to: [seoul, tokyo]}"], world
        )
        fwd = self.forwarder(conf)
        self.expect(ask(fwd, "www.corp.test"), ips=WWW)
        self.assertEqual(tokyo.count("www.corp.test", "A"), 0)
        seoul.ctl("all", "closed")
        wait_for(
            lambda: addresses(ask(fwd, "never.corp.test")) == ["10.30.1.4"], patience_s=30, what="going over to the second endpoint"
        )


class Sizes(Case):
    """| answer larger than the client takes | TC=1 over UDP, whole over TCP |
    | upstream says TC=1 | asked again over TCP, on a kept-open pipelined connection; if TCP is closed there: another address,
    else stale, else the cut answer with TC |"""

    def test_large_answer_is_cut_over_udp_and_whole_over_tcp(self):
        fwd, _, _ = self.serve()
        for edns, limit in ((None, 512), (512, 512), (1232, 1232), (4096, 1232)):
            wire = raw(fwd, make_query("big.corp.test", "TXT", edns=edns).to_wire(), timeout=5)
            self.assertLessEqual(len(wire), limit)
            self.expect(dns.message.from_wire(wire), tc=True)
        self.assertEqual(count(self.expect(ask(fwd, "big.corp.test", "TXT", tcp=True))), 24)

    def test_cut_answer_is_asked_again_over_one_kept_connection(self):
        fwd, sim, _ = self.serve(endpoint=STEADY, count=1, options=["--workers", "1"])
        sim.ctl("all", "truncate")
        for name in ("www", "app", "portal"):
            self.expect(ask(fwd, f"{name}.corp.test"), ips=WWW)
        asked = [q for q in sim.queries(proto="tcp") if q.name != "corp.test."]
        self.assertEqual([q.name for q in asked], ["www.corp.test.", "app.corp.test.", "portal.corp.test."])
        self.assertEqual(len({q.client for q in asked}), 1)

    def test_another_address_is_asked_where_tcp_is_cut(self):
        fwd, sim, _ = self.serve()
        sim.ctl(0, "tcp-cut", "truncate")
        self.expect(ask(fwd, "www.corp.test"), ips=WWW)

    def test_stale_answer_is_given_where_no_tcp_works(self):
        fwd, sim, _ = self.serve()
        ask(fwd, "brief.corp.test")
        sim.ctl("all", "tcp-cut", "truncate")
        response = wait_for(lambda: (r := ask(fwd, "brief.corp.test")).answer and r.answer[0].ttl == 30 and r, what="the end of the TTL")
        self.expect(response, ips=["10.20.1.3"], ede_code=3)

    def test_cut_answer_is_passed_on_where_nothing_else_is_left(self):
        fwd, sim, _ = self.serve()
        sim.ctl("all", "tcp-cut", "truncate")
        with self.within(4 + AT_ONCE_S):
            self.expect(ask(fwd, "www.corp.test"), tc=True)


class Served(Case):
    """Rows that leave no trace in the daemon: one forwarder for all of them would do, but each stands alone."""

    def setUp(self):
        super().setUp()
        self.fwd, self.endpoint, self.local = self.serve()

    def ask_raw(self, octets, **options):
        return rcode(raw(self.fwd, octets, **options))


class Dropped(Served):
    """| shorter than 12 bytes, QR=1, from port 0 or from ourselves | dropped, counted; nothing ever answers a response |"""

    def test_short_packets_are_dropped(self):
        for octets in (b"", b"x", b"\0" * 11, make_query("www.corp.test").to_wire()[:11]):
            self.assertIsNone(raw(self.fwd, octets, timeout=0.2))
        self.expect(ask(self.fwd, "www.corp.test"))

    def test_responses_are_dropped(self):
        response = dns.message.make_response(make_query("www.corp.test"))
        self.assertIsNone(raw(self.fwd, response.to_wire(), timeout=0.3))
        self.assertIsNone(raw(self.fwd, b"\0\1\x80\0" + bytes(8), timeout=0.2))
        self.assertEqual(self.endpoint.count("www.corp.test"), 0)

    def send_from(self, ip, port, octets):
        """Over a raw socket, for only root may say that a datagram comes from where it does not."""
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as s:
            length = 8 + len(octets)
            udp = struct.pack("!HHHH", port, self.fwd.port, length, 0) + octets
            here, there = socket.inet_aton(ip), socket.inet_aton(self.fwd.ip)
            header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + length, 0, 0, 64, socket.IPPROTO_UDP, 0, here, there)
            s.sendto(header + udp, (self.fwd.ip, 0))

    @unittest.skipIf(os.geteuid() != 0, "only root may forge a source port")
    def test_port_0_and_our_own_address_are_dropped(self):
        self.send_from(self.fwd.ip, 0, make_query("port0.corp.test").to_wire())
        self.send_from(self.fwd.ip, self.fwd.port, make_query("ourselves.corp.test").to_wire())
        # The same way with an honest source arrives: it is the source that was refused.
        self.send_from(LOOPBACK.ip(), 5353, make_query("honest.corp.test").to_wire())
        wait_for(lambda: self.endpoint.count("honest.corp.test"))
        self.assertEqual(self.endpoint.count("port0.corp.test") + self.endpoint.count("ourselves.corp.test"), 0)


class Malformed(Served):
    """| does not parse, QDCOUNT≠1, two OPTs, bad OPT | FORMERR |
    | opcode other than QUERY | NOTIMP |
    | EDNS version > 0 | BADVERS |"""

    OPT = b"\0\0\x29\x04\xd0\0\0\0\0\0\0"

    @staticmethod
    def query(body, counts=(1, 0, 0, 0), flags=0x0100):
        return struct.pack("!6H", 7, flags, *counts) + body

    QUESTION = b"\3www\4corp\4test\0\0\1\0\1"

    def test_what_does_not_parse_is_formerr(self):
        for octets in (
            self.query(b""),
            self.query(b"\3www\4corp"),
            self.query(b"\3www\xc0\x0c\0\1\0\1"),
            self.query(b"\x40www\0\0\1\0\1"),
            self.query(self.QUESTION[:-1]),
            self.query(self.QUESTION + b"x"),
            self.query(self.QUESTION, counts=(1, 0, 0, 1)),
        ):
            self.assertEqual(self.ask_raw(octets), "FORMERR", octets)
            self.assertEqual(self.ask_raw(octets, tcp=True), "FORMERR", octets)

    def test_any_number_of_questions_but_one_is_formerr(self):
        self.assertEqual(self.ask_raw(self.query(b"", counts=(0, 0, 0, 0))), "FORMERR")
        self.assertEqual(self.ask_raw(self.query(self.QUESTION * 2, counts=(2, 0, 0, 0))), "FORMERR")

    def test_two_opts_are_formerr(self):
        self.assertEqual(self.ask_raw(self.query(self.QUESTION + self.OPT * 2, counts=(1, 0, 0, 2))), "FORMERR")

    def test_bad_opt_is_formerr(self):
        for opt in (
            b"\1x" + self.OPT,  # not owned by the root
            self.OPT[:-2] + b"\0\3abc",  # options that do not fill the rdata
            self.OPT[:-2] + b"\0\5\0\x0a\0\x09a",
        ):
            self.assertEqual(self.ask_raw(self.query(self.QUESTION + opt, counts=(1, 0, 0, 1))), "FORMERR", opt)
        self.assertEqual(self.ask_raw(self.query(self.QUESTION + self.OPT, counts=(1, 1, 0, 0))), "FORMERR")

    def test_opt_may_stand_anywhere_in_the_additional_section(self):
        """OPT may stand anywhere in the additional section."""
        a = b"\1x\0\0\1\0\1\0\0\0\0\0\4\x7f\0\0\1"
        for extra in (self.OPT + a, a + self.OPT):
            wire = raw(self.fwd, self.query(self.QUESTION + extra, counts=(1, 0, 0, 2)), timeout=5)
            self.assertEqual(rcode(wire), "NOERROR")
            self.assertEqual(dns.message.from_wire(wire).edns, 0)

    def test_other_opcodes_are_notimp(self):
        for opcode in (1, 2, 3, 4, 5, 6, 15):
            self.assertEqual(self.ask_raw(self.query(self.QUESTION, flags=opcode << 11)), "NOTIMP", opcode)

    def test_newer_edns_is_badvers(self):
        query = make_query("www.corp.test")
        query.use_edns(edns=1)
        response = dns.message.from_wire(raw(self.fwd, query.to_wire()))
        self.assertEqual((response.rcode(), response.edns), (dns.rcode.BADVERS, 0))

    def test_first_reason_in_the_order_of_judgement_wins(self):
        """**Order of judgement**: drop; allow-from; opcode; QDCOUNT and parsing; EDNS version; class and type; routing."""
        newer = self.OPT[:6] + b"\1" + self.OPT[7:]
        chaos = self.QUESTION[:-1] + b"\3"
        self.assertIsNone(self.ask_raw(self.query(b"", flags=0x9000), timeout=0.2))
        self.assertEqual(self.ask_raw(self.query(b"", counts=(0, 0, 0, 0), flags=0x1000)), "NOTIMP")
        self.assertEqual(self.ask_raw(self.query(newer, counts=(0, 0, 0, 1))), "FORMERR")
        wire = raw(self.fwd, self.query(chaos + newer, counts=(1, 0, 0, 1)))
        self.assertEqual(dns.message.from_wire(wire).rcode(), dns.rcode.BADVERS)
        self.assertEqual(self.ask_raw(self.query(chaos)), "REFUSED")


class Kinds(Served):
    """| AXFR, IXFR, class other than IN (but for CHAOS id.server/version.*) | REFUSED |
    | ANY | over UDP RFC 8482's HINFO, over TCP forwarded |"""

    def test_transfers_are_refused(self):
        for kind in ("AXFR", "IXFR"):
            self.assertEqual(self.ask_raw(make_query("corp.test", kind).to_wire()), "REFUSED")
            self.assertEqual(self.ask_raw(make_query("corp.test", kind).to_wire(), tcp=True), "REFUSED")
        self.assertEqual(self.endpoint.count("corp.test", "AXFR"), 0)

    def test_other_classes_are_refused(self):
        for rdclass in ("CH", "HS", "ANY", "NONE"):
            self.assertEqual(self.ask_raw(make_query("www.corp.test", "A", rdclass).to_wire()), "REFUSED", rdclass)

    def test_chaos_names_tell_who_we_are(self):
        for name in ("id.server", "version.server", "version.bind"):
            response = self.expect(ask(self.fwd, name, "TXT", "CH"))
            self.assertEqual(count(response), 1)

    def test_any_is_hinfo_over_udp_and_forwarded_over_tcp(self):
        response = self.expect(ask(self.fwd, "www.corp.test", "ANY"))
        self.assertEqual([r.to_text() for r in response.answer[0]], ['"RFC8482" ""'])
        self.assertEqual(self.endpoint.count("www.corp.test", "ANY"), 0)
        self.expect(ask(self.fwd, "www.corp.test", "ANY", tcp=True), ips=WWW)
        self.assertEqual(self.endpoint.count("www.corp.test", "ANY"), 1)


class Strangers(Case):
    """| source not in `allow-from` | REFUSED with EDE 18 |"""

    def test_strangers_are_refused_whatever_they_ask(self):
        friend, stranger = LOOPBACK.ip(), LOOPBACK.ip()
        fwd, sim, _ = self.serve(endpoint=STEADY, rest=f"allow-from: [{friend}/32]\n", ready=False)
        wait_for(lambda: rcode(raw(fwd, make_query("localhost").to_wire(), source=friend, timeout=0.3)) == "NOERROR")
        self.expect(ask(fwd, "www.corp.test", source=friend), ips=WWW)
        for tcp in (False, True):
            response = ask(fwd, "www.corp.test", source=stranger, tcp=tcp)
            self.assertEqual(response.rcode(), dns.rcode.REFUSED)
            self.assertEqual([code for code, _ in ede(response)], [18])
            for octets in (
                make_query("localhost").to_wire(),
                make_query("corp.test", "AXFR").to_wire(),
                b"\0\1\x20\0" + bytes(8),
                b"\0\1\1\0" + bytes(8),
            ):
                self.assertEqual(rcode(raw(fwd, octets, source=stranger, tcp=tcp)), "REFUSED")
        self.assertIsNone(raw(fwd, b"\0\1\x80\0" + bytes(8), source=stranger, timeout=0.2))
        self.assertEqual(sim.count("www.corp.test", "A"), 1)


class Together(Case):
    """| identical questions in flight | one upstream query per worker, every client answered; prefetch, keep-warm and stale refresh: one in
    all |"""

    def test_identical_questions_share_one_upstream_query(self):
        fwd, sim, _ = self.serve(endpoint="hedge: off", count=1, faults=["all,delay 250ms"], options=["--workers", "1"])
        ask(fwd, "never.corp.test")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.connect((fwd.ip, fwd.port))
            s.settimeout(5)
            for i in range(50):
                s.send(make_query("www.corp.test", id=1000 + i).to_wire())
            got = sorted(dns.message.from_wire(s.recv(4096)).id for _ in range(50))
        self.assertEqual(got, list(range(1000, 1050)))
        self.assertEqual(sim.count("www.corp.test", "A"), 1)

    def test_letter_case_makes_no_other_question(self):
        fwd, sim, _ = self.serve(endpoint="hedge: off", count=1, faults=["all,delay 250ms"], options=["--workers", "1"])
        ask(fwd, "never.corp.test")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.connect((fwd.ip, fwd.port))
            s.settimeout(5)
            for name in ("www.corp.test", "WWW.corp.test", "www.CORP.test"):
                s.send(make_query(name).to_wire())
            spelled = {dns.message.from_wire(s.recv(4096)).question[0].name.to_text() for _ in range(3)}
        self.assertEqual(spelled, {"www.corp.test.", "WWW.corp.test.", "www.CORP.test."})
        self.assertEqual(sim.count("www.corp.test", "A"), 1)


if __name__ == "__main__":
    main()
