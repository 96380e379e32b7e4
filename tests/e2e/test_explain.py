# SPDX-License-Identifier: Apache-2.0
"""`r53fwd explain`: what it says before, during and after trouble, and that what it says is what then happens."""

import json
import re

from lib import STEADY, Case, ask, endpoint_conf, main, wait_for, zones_conf

ZONES = ("{name: [corp.test, hasty.test], to: seoul}", "{name: legacy.corp.test, to: local}")


class Explain(Case):
    def explain(self, fwd, *words, expect=0):
        return json.loads(fwd.command("explain", *words, "--json", expect=expect)[0])

    def first(self, explanation):
        return next(e for e in explanation["endpoints"] if e["asked"])["addresses"][0]

    def line_of(self, fwd, text):
        with open(fwd.conf, encoding="utf-8") as file:
            return next(number for number, line in enumerate(file, 1) if text in line)

    def test_the_zone_is_named_with_its_line_and_the_losers_with_theirs(self):
        fwd, _, _ = self.serve(zones=ZONES)
        said, _ = fwd.command("explain", "www.corp.test", "--zones", fwd.conf)
        self.assertIn(f"zone   corp.test  {fwd.conf}:{self.line_of(fwd, 'hasty.test')}  to seoul", said)
        self.assertIn(f"lost   legacy.corp.test  {fwd.conf}:{self.line_of(fwd, 'legacy')}  to local: an exception", said)
        self.assertNotIn("not what the daemon runs", said)

    def says_and_does(self, fwd, sim):
        """Asks for a new name: the address that stands first before and after is the one that was asked. Health may change in between."""
        self.asked = getattr(self, "asked", 0) + 1
        name = f"n{self.asked}.wild.corp.test"
        before = self.first(self.explain(fwd, name))
        ask(fwd, name)
        after = self.first(self.explain(fwd, name))
        ip = before["address"].rsplit(":", 1)[0]
        return before["address"] == after["address"] and sim.queries(name, "A")[0].ip == ip and before

    def test_the_first_in_the_order_is_the_one_that_is_asked(self):
        fwd, sim, _ = self.serve()
        first = wait_for(lambda: self.says_and_does(fwd, sim), what="agreement")
        sim.ctl(first["az"], "silent")
        wait_for(lambda: (s := self.says_and_does(fwd, sim)) and s["az"] != first["az"], what="agreement in trouble")

    def test_the_cache_is_told_with_its_origin_and_gone_after_a_flush(self):
        fwd, sim, _ = self.serve(endpoint=STEADY)
        self.assertEqual(self.explain(fwd, "www.corp.test")["cache"]["state"], "none")
        ask(fwd, "www.corp.test")
        cache = self.explain(fwd, "WWW.Corp.Test.", "a")["cache"]
        self.assertEqual((cache["state"], cache["rcode"], cache["answers"]), ("fresh", "NOERROR", 2))
        self.assertLessEqual(cache["ttl_left_seconds"], 60)
        self.assertEqual(cache["address"].rsplit(":", 1)[0], sim.queries("www.corp.test", "A")[0].ip)
        self.assertIn(cache["az"], ("az1", "az2", "az3"))
        said, _ = fwd.command("explain", "www.corp.test")
        self.assertRegex(said, r"cache  fresh: NOERROR with 2 answer records, .* left, from 127\.[0-9.:]+ \(az\d\)\n"
                               r"now    answered from the cache; nobody is asked")
        fwd.command("flush", "www.corp.test")
        self.assertEqual(self.explain(fwd, "www.corp.test")["cache"]["state"], "none")
        self.assertEqual(sim.count("www.corp.test"), 1, "explain asks nobody")

    def test_local_answers_with_do_are_found_too(self):
        fwd, _, _ = self.serve()
        ask(fwd, "www.example", dnssec=True)
        cache = self.explain(fwd, "www.example")["cache"]
        self.assertEqual((cache["state"], cache["dnssec_ok"]), ("fresh", True))

    def test_an_outage_is_told_as_one(self):
        fwd, sim, _ = self.serve(endpoint="probe: {interval: 200ms}")
        ask(fwd, "brief.corp.test")
        sim.ctl("all", "silent")
        for i in range(3):
            ask(fwd, f"lost{i}.corp.test", timeout=10)
        wait_for(lambda: self.explain(fwd, "x.corp.test")["endpoints"][0]["state"] == "down", what="the endpoint's fall")
        wait_for(lambda: self.explain(fwd, "brief.corp.test")["cache"]["state"] == "stale", what="expiry")
        explanation = self.explain(fwd, "brief.corp.test")
        self.assertRegex(explanation["now"], r"answered with what is known, \d+ s past its expiry, with TTL 30 and EDE 3")
        self.assertIsNone(explanation["if_first_dies"])
        self.assertIn("SERVFAIL, with an EDE that says what each address did", self.explain(fwd, "x.corp.test")["now"])
        sim.ctl("all", "heal")
        wait_for(lambda: self.explain(fwd, "x.corp.test")["endpoints"][0]["state"] != "down", what="the return")

    def test_endpoints_in_order(self):
        seoul, tokyo = self.sim(count=2, name="seoul"), self.sim(count=2, name="tokyo")
        conf = zones_conf([endpoint_conf(seoul), endpoint_conf(tokyo, "tokyo")], ["{name: corp.test, to: [seoul, tokyo]}"])
        fwd = self.forwarder(conf)
        said, _ = fwd.command("explain", "www.corp.test")
        self.assertIn("to seoul, then tokyo", said)
        self.assertRegex(said, r"(?m)^tokyo  \w+, spread: asked only while the one before it is wholly down$")

    def test_drained_is_told(self):
        fwd, sim, _ = self.serve()
        fwd.command("drain", sim.addresses[0].ip)
        drained = self.explain(fwd, "www.corp.test")["endpoints"][0]["addresses"][-1]
        self.assertEqual((drained["place"], drained["state"]), (None, "drained"))
        self.assertEqual(drained["address"], f"{sim.addresses[0].ip}:{sim.addresses[0].port}")

    def test_special_names(self):
        fwd, _, _ = self.serve()
        for name in ("localhost", "a.invalid", "b.onion", "resolver.arpa", "1.0.0.127.in-addr.arpa"):
            self.assertIn("never sent anywhere", fwd.command("explain", name)[0])

    def test_a_file_that_changed_since_is_told_with_what_it_says_now(self):
        fwd, sim, world = self.serve()
        fwd.write_conf(zones_conf([endpoint_conf(sim)], ["{name: corp.test, to: local}"], world) + "# new\n")
        said, _ = fwd.command("explain", "www.corp.test", "--zones", fwd.conf)
        self.assertIn("is not what the daemon runs", said)
        before, after = said.split("is not what the daemon runs")
        self.assertIn("to seoul", before)
        self.assertIn("to local", after)
        fwd.command("reload")
        said, _ = fwd.command("explain", "www.corp.test", "--zones", fwd.conf)
        self.assertNotIn("is not what the daemon runs", said)
        self.assertRegex(said, r"zone   corp\.test  \S+:\d+  to local")
        # The daemon's own path is absolute here: it is compared without --zones as well.
        with open(fwd.conf, "a", encoding="utf-8") as file:
            file.write("# newer\n")
        self.assertIn("is not what the daemon runs", fwd.command("explain", "www.corp.test")[0])
        fwd.write_conf("zonen: []\n")
        said, err = fwd.command("explain", "www.corp.test", "--zones", fwd.conf, expect=1)
        self.assertIn("zone   corp.test", said)
        self.assertRegex(err, re.escape(fwd.conf) + r":\d+:\d+: ")

    def test_without_a_daemon_the_file_speaks(self):
        fwd, _, _ = self.serve(zones=ZONES)
        live = self.explain(fwd, "www.corp.test")
        fwd.stop()
        said, err = fwd.command("explain", "www.corp.test", "--zones", fwd.conf)
        self.assertIn(f"By {fwd.conf} alone, with every address taken as healthy: no daemon serves at {fwd.control}", said)
        self.assertEqual(err, "")
        alone = self.explain(fwd, "www.corp.test", "--zones", fwd.conf)
        self.assertFalse(alone["live"])
        for key in ("name", "line", "to", "why"):
            self.assertEqual(alone["zone"][key], live["zone"][key])
        self.assertEqual(alone["lost"], live["lost"])
        listed = [{a["address"] for a in e["endpoints"][0]["addresses"]} for e in (alone, live)]
        self.assertEqual(listed[0], listed[1])

    def test_usage(self):
        fwd, _, _ = self.serve()
        for words in ([], ["a..b"], ["a", "NOTYPE"], ["a", "A", "more"]):
            fwd.command("explain", *words, expect=2)


if __name__ == "__main__":
    main()
