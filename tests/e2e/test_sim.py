# SPDX-License-Identifier: Apache-2.0
"""r53sim itself: what it answers, each of its faults, its command line. What the other tests stand on."""

import os
import signal
import socket
import subprocess

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype

from lib import CORP, HASTY, R53SIM, WORLD, Case, addresses, ask, count, end, main, make_query, raw, rcode, read_frame, wait_for


class Answers(Case):
    def setUp(self):
        super().setUp()
        self.one = self.sim([CORP, HASTY], count=2)
        self.at = self.one.addresses[0]

    def test_flags_are_those_of_an_inbound_endpoint(self):
        """qr rd ra, no aa; the question's letter case echoed; an OPT with 4096; DO not echoed."""
        response = ask(self.at, "wWw.CORP.test", edns=1232, dnssec=True, cd=True)
        self.assertEqual(response.flags, dns.flags.QR | dns.flags.RD | dns.flags.RA)
        self.assertEqual(response.question[0].name.to_text(), "wWw.CORP.test.")
        self.assertEqual((response.edns, response.payload, response.ednsflags), (0, 4096, 0))
        self.assertEqual(addresses(response), ["10.20.1.1", "10.20.1.2"])

    def test_no_opt_to_who_sent_none(self):
        self.assertEqual(ask(self.at, "www.corp.test", edns=None).edns, -1)

    def test_chain_comes_whole(self):
        response = ask(self.at, "portal.corp.test")
        self.assertEqual([r.name.to_text() for r in response.answer], ["portal.corp.test.", "app.corp.test.", "www.corp.test."])

    def test_negative_answers_have_the_soa(self):
        for name, expected in (("none.corp.test", dns.rcode.NXDOMAIN), ("www.corp.test", dns.rcode.NOERROR)):
            response = ask(self.at, name, "MX")
            self.assertEqual(response.rcode(), expected)
            self.assertEqual(dns.rdatatype.to_text(response.authority[0].rdtype), "SOA")
            self.assertEqual(response.authority[0].ttl, 900)

    def test_outside_is_refused(self):
        self.assertEqual(ask(self.at, "www.example").rcode(), dns.rcode.REFUSED)

    def test_truncation_and_tcp(self):
        cut = ask(self.at, "big.corp.test", "TXT")
        self.assertTrue(cut.flags & dns.flags.TC)
        self.assertLessEqual(len(cut.to_wire()), 1232)
        whole = ask(self.at, "big.corp.test", "TXT", edns=4096)
        self.assertFalse(whole.flags & dns.flags.TC)
        self.assertEqual(count(whole), 24)
        self.assertEqual(count(ask(self.at, "big.corp.test", "TXT", tcp=True)), 24)

    def test_every_query_is_one_line_of_the_log(self):
        ask(self.at, "wWw.corp.test", id=4660)
        ask(self.at, "www.corp.test", "AAAA", tcp=True, edns=None)
        raw(self.at, make_query("a\\010b.corp.test").to_wire())
        first, second, third = self.one.queries()
        self.assertEqual((first.ip, first.port, first.az, first.proto), (self.at.ip, self.at.port, "az1", "udp"))
        self.assertEqual((first.name, first.type, first.id, first.spelled), ("www.corp.test.", "A", "4660", "wWw.corp.test."))
        self.assertEqual((first.edns, first.flags, first.answer), ("1232", "rd", "NOERROR"))
        self.assertEqual((second.proto, second.type, second.edns), ("tcp", "AAAA", "-"))
        self.assertEqual((third.name, third.answer), ("a\\010b.corp.test.", "NXDOMAIN"))

    def test_nonsense(self):
        self.assertIsNone(raw(self.at, b"x" * 11, timeout=0.2))
        self.assertIsNone(raw(self.at, b"\0\1\x80\0" + bytes(8), timeout=0.2))
        self.assertEqual(rcode(raw(self.at, b"\0\1\1\0" + bytes(8))), "FORMERR")
        self.assertEqual(rcode(raw(self.at, b"\0\1\x20\0" + bytes(8))), "NOTIMP")
        self.assertEqual(ask(self.at, "corp.test", "AXFR", tcp=True).rcode(), dns.rcode.REFUSED)

    def test_many_questions_on_one_connection(self):
        with socket.create_connection((self.at.ip, self.at.port), timeout=5) as s:
            for i in range(150):
                query = make_query("www.corp.test", id=i).to_wire()
                s.sendall(len(query).to_bytes(2, "big") + query)
            s.shutdown(socket.SHUT_WR)
            self.assertEqual(sorted(dns.message.from_wire(read_frame(s)).id for _ in range(150)), list(range(150)))
            self.assertIsNone(read_frame(s))

    def test_sighup_reads_the_zones_again(self):
        self.one.change_zone(0, CORP + "fresh A 10.20.1.99\n")
        wait_for(lambda: addresses(ask(self.at, "fresh.corp.test")) == ["10.20.1.99"])
        self.one.change_zone(0, "this is no zone\n")
        wait_for(lambda: "sim0.zone:1:" in self.one.text())
        self.assertEqual(addresses(ask(self.at, "fresh.corp.test")), ["10.20.1.99"])


class Faults(Case):
    def setUp(self):
        super().setUp()
        self.one = self.sim([CORP], count=2)
        self.at, self.other = self.one.addresses

    def tearDown(self):
        """Whatever it was: the other address never had it, and heal takes it back."""
        self.assertEqual(len(addresses(ask(self.other, "www.corp.test"))), 2)
        self.one.ctl(self.at, "heal")
        self.assertEqual(len(addresses(ask(self.at, "www.corp.test"))), 2)
        self.assertEqual(len(addresses(ask(self.at, "www.corp.test", tcp=True))), 2)

    def no_answer(self, **options):
        self.assertIsNone(raw(self.at, make_query("www.corp.test").to_wire(), timeout=0.3, **options))

    def test_silent(self):
        self.one.ctl(self.at, "silent")
        self.no_answer()
        self.no_answer(tcp=True)
        wait_for(lambda: len(self.one.queries("www.corp.test")) == 2, what="both questions in the log")
        self.assertEqual([q.answer for q in self.one.queries("www.corp.test")], ["-", "-"])

    def test_delay(self):
        self.one.ctl(self.at, "delay", "300ms")
        for tcp in (False, True):
            with self.within(2, at_least=0.3):
                ask(self.at, "www.corp.test", tcp=tcp)

    def test_jitter_lets_answers_overtake_each_other(self):
        self.one.ctl(self.at, "delay 100ms", "jitter 100ms")
        with socket.create_connection((self.at.ip, self.at.port), timeout=5) as s:
            for i in range(50):
                query = make_query("www.corp.test", id=i).to_wire()
                s.sendall(len(query).to_bytes(2, "big") + query)
            order = [dns.message.from_wire(read_frame(s)).id for _ in range(50)]
        self.assertEqual(sorted(order), list(range(50)))
        self.assertNotEqual(order, sorted(order))

    def test_loss(self):
        self.one.ctl(self.at, "loss", "50%")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.connect((self.at.ip, self.at.port))
            for i in range(200):
                s.send(make_query("www.corp.test", id=i).to_wire())
        wait_for(lambda: self.one.count("www.corp.test") == 200)
        lost = self.one.count("www.corp.test", answer="-")
        self.assertGreater(lost, 50)
        self.assertLess(lost, 150)

    def test_rcode(self):
        for text in ("SERVFAIL", "REFUSED", "NOTIMP", "FORMERR", "NXDOMAIN"):
            self.one.ctl(self.at, "rcode", text)
            response = ask(self.at, "www.corp.test")
            self.assertEqual(dns.rcode.to_text(response.rcode()), text)
            self.assertEqual(response.answer + response.authority, [])

    def test_truncate(self):
        self.one.ctl(self.at, "truncate")
        response = ask(self.at, "www.corp.test")
        self.assertTrue(response.flags & dns.flags.TC)
        self.assertEqual(response.answer, [])
        self.assertEqual(len(addresses(ask(self.at, "www.corp.test", tcp=True))), 2)

    def test_garbage(self):
        self.one.ctl(self.at, "garbage")
        query = make_query("www.corp.test", id=77)
        octets = raw(self.at, query.to_wire())
        self.assertEqual(octets[:2], b"\0\x4d")
        self.assertEqual(octets[12:27], query.to_wire()[12:27])
        with self.assertRaises(dns.exception.DNSException):
            dns.message.from_wire(octets)

    def test_wrong_id(self):
        self.one.ctl(self.at, "wrong-id")
        self.assertNotEqual(raw(self.at, make_query("www.corp.test", id=77).to_wire())[:2], b"\0\x4d")

    def test_wrong_question(self):
        self.one.ctl(self.at, "wrong-question")
        response = dns.message.from_wire(raw(self.at, make_query("www.corp.test", id=77).to_wire()))
        self.assertEqual((response.id, response.question[0].name.to_text()), (77, "0ww.corp.test."))

    def test_tcp_cut(self):
        self.one.ctl(self.at, "tcp-cut")
        self.assertEqual(len(addresses(ask(self.at, "www.corp.test"))), 2)
        query = make_query("www.corp.test").to_wire()
        with socket.create_connection((self.at.ip, self.at.port), timeout=5) as s:
            s.sendall(len(query).to_bytes(2, "big") + query)
            got = b""
            while piece := s.recv(4096):
                got += piece
        self.assertGreater(len(got), 2)
        self.assertLess(len(got), 2 + int.from_bytes(got[:2], "big"))

    def test_closed(self):
        """The kernel answers at once: with ICMP over UDP, with RST over TCP; open connections are reset too."""
        with socket.create_connection((self.at.ip, self.at.port), timeout=5) as s:
            wait_for(lambda: rcode(raw(self.at, make_query("www.corp.test").to_wire(), tcp=True)))
            self.one.ctl(self.at, "closed")
            with self.assertRaises(ConnectionResetError):
                s.recv(1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s, self.assertRaises(ConnectionRefusedError):
            s.settimeout(5)
            s.connect((self.at.ip, self.at.port))
            s.send(b"x" * 12)
            s.recv(1)
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection((self.at.ip, self.at.port), timeout=5)

    def test_no_edns(self):
        self.one.ctl(self.at, "no-edns")
        response = dns.message.from_wire(raw(self.at, make_query("www.corp.test").to_wire()))
        self.assertEqual((response.rcode(), response.edns), (dns.rcode.FORMERR, -1))
        self.assertEqual(len(addresses(ask(self.at, "www.corp.test", edns=None))), 2)

    def test_lower_case(self):
        self.one.ctl(self.at, "lower-case")
        response = ask(self.at, "WWW.corp.TEST")
        self.assertEqual(response.question[0].name.to_text(), "www.corp.test.")

    def test_faults_combine(self):
        self.one.ctl(self.at, "delay 200ms", "rcode SERVFAIL")
        with self.within(2, at_least=0.2):
            self.assertEqual(ask(self.at, "www.corp.test").rcode(), dns.rcode.SERVFAIL)
        self.assertIn("faults delay 200ms rcode SERVFAIL\n", self.one.ctl(self.at))

    def test_answers_in_flight_die_with_the_port(self):
        self.one.ctl(self.at, "delay 3s")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(3.5)
            s.bind((self.other.ip, 0))
            s.sendto(make_query("www.corp.test").to_wire(), (self.at.ip, self.at.port))
            wait_for(lambda: self.one.count("www.corp.test") == 1)
            self.one.ctl(self.at, "closed")
            with self.assertRaises(TimeoutError):
                s.recv(512)


class CommandLine(Case):
    def run_sim(self, *argv):
        return subprocess.run([R53SIM, *argv], capture_output=True, text=True, timeout=20, check=False)

    def test_help_and_version(self):
        self.assertIn("usage: r53sim", self.run_sim("--help").stdout)
        self.assertIn("wrong-question", self.run_sim("ctl", "--help").stdout)
        self.assertRegex(self.run_sim("--version").stdout, r"^r53sim \d+\.\d+\.\d+\n$")

    def test_bad_use_is_status_2(self):
        zone = os.path.join(self.stage.folder, "z")
        with open(zone, "w", encoding="ascii") as file:
            file.write(CORP)
        for argv in (
            [],
            ["--nonsense"],
            ["--zone", zone],
            ["--zone", zone, "--address", "nowhere"],
            ["--zone", zone, "--address", "127.0.0.1:0"],
            ["--zone", zone, "--address", "127.254.0.1:5300,zone=a"],
            ["--zone", zone, "--address", "127.254.0.1:5300", "--fault", "127.254.0.1:5300,slow"],
            ["--zone", zone, "--address", "127.254.0.1:5300", "--fault", "127.254.0.2,silent"],
            ["--zone", zone, "--address", "127.254.0.1:5300", "--outside", "MAYBE"],
            ["--ttl-countdown", "stray"],
            ["ctl"],
            ["ctl", "--control", "/nowhere"],
        ):
            run = self.run_sim(*argv)
            self.assertEqual((run.returncode, run.stdout), (2, ""), argv)
            self.assertNotEqual(run.stderr, "")

    def test_what_the_system_refuses_is_status_1(self):
        one = self.sim([CORP], count=1)
        at = one.addresses[0]
        taken = self.run_sim("--zone", one.zone_files[0], "--address", f"{at.ip}:{at.port}")
        self.assertEqual(taken.returncode, 1)
        self.assertIn("Address already in use", taken.stderr)
        missing = self.run_sim("--zone", "/nowhere.zone", "--address", "127.254.0.1:5300")
        self.assertEqual((missing.returncode, missing.stderr), (1, "r53sim: /nowhere.zone: No such file or directory\n"))
        control = self.run_sim("--zone", one.zone_files[0], "--address", "127.254.0.1:5300", "--control", one.control)
        self.assertEqual(control.returncode, 1)
        self.assertEqual(self.run_sim("ctl", "--control", "/nowhere", "all").returncode, 1)
        self.assertEqual(self.run_sim("ctl", "--control", one.control, "10.0.0.1", "silent").returncode, 1)
        self.assertEqual(self.run_sim("ctl", "--control", one.control, "all", "slow").returncode, 1)

    def test_ctl_means_an_ip_an_az_or_all(self):
        one = self.sim([CORP], count=3)
        ip = one.addresses[0].ip
        one.ctl(ip, "silent")
        one.ctl("az2", "truncate")
        self.assertEqual([line.rsplit("faults ")[1] for line in one.ctl("all").splitlines()], ["silent", "truncate", "none"])
        one.ctl("all", "heal")
        self.assertEqual(one.ctl("all").count("faults none"), 3)

    def test_faults_from_the_start(self):
        one = self.sim([CORP], count=1, faults=["all,delay 200ms"])
        with self.within(2, at_least=0.2):
            ask(one.addresses[0], "www.corp.test")

    def test_outside_and_countdown(self):
        one = self.sim([CORP], count=1, options=["--outside", "NXDOMAIN", "--ttl-countdown"])
        self.assertEqual(ask(one.addresses[0], "www.example").rcode(), dns.rcode.NXDOMAIN)
        wait_for(lambda: ask(one.addresses[0], "www.corp.test").answer[0].ttl < 60)

    def test_a_zone_for_the_root(self):
        one = self.sim([WORLD], count=1)
        self.assertEqual(addresses(ask(one.addresses[0], "www.example")), ["192.0.2.80"])
        self.assertEqual(ask(one.addresses[0], ".", "SOA").rcode(), dns.rcode.NOERROR)

    def test_ends_cleanly_and_takes_its_socket_along(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            one = self.sim([CORP], count=1, name=f"sim{number}")
            one.signal(number)
            self.assertEqual(one.wait(), 0)
            self.assertFalse(os.path.exists(one.control))

    def test_socket_of_one_who_was_killed_is_no_obstacle(self):
        one = self.sim([CORP], count=1)
        argv = one.argv
        one.child.kill()
        one.child.wait()
        self.stage.programs.remove(one)
        self.assertTrue(os.path.exists(one.control))
        with subprocess.Popen(argv, stderr=subprocess.DEVNULL) as again:
            wait_for(lambda: self.run_sim("ctl", "--control", one.control, "all").returncode == 0)
            self.assertEqual(end(again), 0)


if __name__ == "__main__":
    main()
