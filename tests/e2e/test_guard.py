# SPDX-License-Identifier: Apache-2.0
"""Zones that lost their hosted zone, and names that are kept resolved: `expect`, `guard`, `association`, `keep-warm`."""

import time
import types

from lib import (
    AT_ONCE_S,
    SOA,
    STEADY,
    Case,
    addresses,
    ask,
    ede,
    endpoint_conf,
    main,
    wait_for,
    zones_conf,
)

PRIVATE_SERVER = "ns-0.awsdns-00.com."
PUBLIC_SERVER = "ns-42.awsdns-05.com."


def shop(ip, server=PRIVATE_SERVER, ttl=60):
    """The zone shop.test with one host at `ip`."""
    soa = SOA if server == PRIVATE_SERVER else SOA.replace(SOA.split()[0], server)
    return f"""
$ORIGIN shop.test.
@     900 SOA {soa} 1
@      60 NS {server}
db {ttl} A {ip}
ok     60 A 10.1.1.1
note   60 TXT "no address"
"""


INSIDE = "10.20.1.1"
OUTSIDE = "203.0.113.9"


class Shop(Case):
    def shop(self, *texts, keys="", endpoint=STEADY, rest=""):
        """Returns (forwarder, simulators): a simulator for each text, all of them addresses of one endpoint, in this order."""
        sims = [self.sim((text,), count=1, name=f"sim{i}") for i, text in enumerate(texts)]
        both = types.SimpleNamespace(addresses=[a._replace(az=f"az{i}") for i, sim in enumerate(sims) for a in sim.addresses])
        zone = f"{{name: shop.test, to: seoul{', ' + keys if keys else ''}}}"
        conf = zones_conf([endpoint_conf(both, extra=endpoint)], [zone], self.world(), rest)
        return self.forwarder(conf), *sims


class Guard(Shop):
    def test_other_addresses_are_warned_of_and_passed_on(self):
        fwd, sim = self.shop(shop(OUTSIDE), keys="expect: private")
        self.expect(ask(fwd, "db.shop.test"), ips=[OUTSIDE])
        self.expect(ask(fwd, "db.shop.test"), ips=[OUTSIDE])
        self.assertEqual(sim.count("db.shop.test", "A"), 1)
        warnings = wait_for(lambda: [line for line in fwd.text().splitlines() if "does not expect" in line], what="the warning")
        self.assertEqual(len(warnings), 1, fwd.text())
        self.assertIn("shop.test does not expect 203.0.113.9, which came from seoul; such answers are passed on and counted", warnings[0])

    def test_nothing_expected_is_nothing_said(self):
        fwd, _ = self.shop(shop(OUTSIDE))
        self.expect(ask(fwd, "db.shop.test"), ips=[OUTSIDE])
        self.assertNotIn("does not expect", fwd.text())

    def test_enforced_guard_asks_another_az(self):
        fwd, first, second = self.shop(shop(OUTSIDE), shop(INSIDE), keys="expect: private, guard: enforce")
        self.expect(ask(fwd, "db.shop.test"), ips=[INSIDE])
        self.expect(ask(fwd, "db.shop.test"), ips=[INSIDE])
        self.assertEqual((first.count("db.shop.test", "A"), second.count("db.shop.test", "A")), (1, 1))
        # What it says is not how it is: the address is asked first again.
        self.expect(ask(fwd, "ok.shop.test"), ips=["10.1.1.1"])
        self.assertEqual((first.count("ok.shop.test", "A"), second.count("ok.shop.test", "A")), (1, 0))
        self.assertNotIn("suspect", fwd.text())

    def test_enforced_guard_blocks_what_everybody_says(self):
        fwd, *_ = self.shop(shop(OUTSIDE), shop(OUTSIDE), keys="expect: [10.0.0.0/8], guard: enforce")
        response = self.expect(ask(fwd, "db.shop.test"), "SERVFAIL", ede_code=15)
        self.assertEqual(ede(response), [(15, "shop.test does not expect 203.0.113.9, which came from seoul")])
        again = self.expect(ask(fwd, "db.shop.test"), "SERVFAIL", ede_code=15)
        self.assertIn("shop.test does not expect", ede(again)[0][1])
        # Others of the zone are not touched.
        self.expect(ask(fwd, "ok.shop.test"), ips=["10.1.1.1"])
        self.expect(ask(fwd, "note.shop.test", "TXT"))
        self.expect(ask(fwd, "none.shop.test"), "NXDOMAIN")

    def test_enforced_guard_over_tcp(self):
        fwd, _ = self.shop(shop(OUTSIDE), keys="expect: private, guard: enforce", endpoint="transport: tcp")
        self.expect(ask(fwd, "db.shop.test", tcp=True), "SERVFAIL", ede_code=15)

    def test_last_good_answer_outlives_a_bad_one(self):
        fwd, sim = self.shop(shop(INSIDE, ttl=1), keys="expect: private, guard: enforce")
        self.expect(ask(fwd, "db.shop.test"), ips=[INSIDE])
        sim.change_zone(0, shop(OUTSIDE, PUBLIC_SERVER))
        stale = wait_for(lambda: (r := ask(fwd, "db.shop.test")) and ede(r) and r, what="its expiry")
        self.expect(stale, ips=[INSIDE], ede_code=3)
        self.assertEqual(stale.answer[0].ttl, 30)

    def test_vpc_endpoints_expect_private_addresses(self):
        service = """
$ORIGIN ssm.ap-northeast-2.amazonaws.com.
@ 900 SOA ns-1536.awsdns-00.co.uk. h. 1 7200 900 1209600 1
@ 60 NS ns-0.awsdns-00.com.
@ 60 A 52.95.193.1
"""
        sim = self.sim((service,), count=2)
        zone = "{vpc-endpoints: {region: ap-northeast-2, services: [ssm]}, to: seoul}"
        fwd = self.forwarder(zones_conf([endpoint_conf(sim)], [zone], self.world()))
        self.expect(ask(fwd, "ssm.ap-northeast-2.amazonaws.com"), ips=["52.95.193.1"])
        wait_for(lambda: "ssm.ap-northeast-2.amazonaws.com does not expect 52.95.193.1" in fwd.text(), what="the warning")


class Association(Shop):
    def test_zone_of_the_public_dns_is_detached(self):
        fwd, _ = self.shop(shop(INSIDE, PUBLIC_SERVER))
        wait_for(lambda: "shop.test is not private at seoul: its server is ns-42.awsdns-05.com;" in fwd.text(), what="the warning")
        self.expect(ask(fwd, "db.shop.test"), ips=[INSIDE])  # which changes no answer

    def test_each_zone_is_checked_soon_after_the_start(self):
        texts = [shop(INSIDE).replace("shop.test", f"shop{i}.test") for i in range(4)] + [shop(INSIDE, PUBLIC_SERVER)]
        sim = self.sim(texts, count=2)
        zones = [f"{{name: shop{i}.test, to: seoul}}" for i in range(4)] + ["{name: shop.test, to: seoul}"]
        fwd = self.forwarder(zones_conf([endpoint_conf(sim)], zones, self.world()))
        wait_for(lambda: "shop.test is not private at seoul" in fwd.text(), what="the warning")
        self.assertNotIn("shop0.test", fwd.text())

    def test_association_that_is_off_is_not_looked_at(self):
        other = shop(INSIDE, PUBLIC_SERVER).replace("shop.test", "other.test")
        sim = self.sim((shop(INSIDE, PUBLIC_SERVER), other), count=2)
        zones = ["{name: shop.test, to: seoul, association: off}", "{name: other.test, to: seoul}"]
        fwd = self.forwarder(zones_conf([endpoint_conf(sim)], zones, self.world()))
        wait_for(lambda: "other.test is not private" in fwd.text(), what="the warning")
        self.assertNotIn("shop.test is not private", fwd.text())

    def test_reload_does_not_repeat_the_warning(self):
        fwd, sim = self.shop(shop(INSIDE, PUBLIC_SERVER))
        wait_for(lambda: "shop.test is not private" in fwd.text(), what="the warning")
        with open(fwd.conf, encoding="utf-8") as file:
            conf = file.read().split("\n", 1)[1]
        asked = sim.count("shop.test", "NS")
        fwd.reload(conf + "cache: {max-ttl: 1h}\n")
        wait_for(lambda: " loaded: " in fwd.text(), what="the reload")
        self.assertEqual(sim.count("shop.test", "NS"), asked)
        self.expect(ask(fwd, "db.shop.test"), ips=[INSIDE])
        self.assertEqual(fwd.text().count("is not private"), 1)


class KeepWarm(Shop):
    def test_name_is_resolved_though_nobody_asks(self):
        fwd, sim = self.shop(shop(INSIDE), keys="keep-warm: [db.shop.test]", rest="workers: 4\n")
        wait_for(lambda: sim.count("db.shop.test", "A"), what="the first refresh")
        sim.ctl("all", "silent")
        with self.within(AT_ONCE_S):
            self.expect(ask(fwd, "db.shop.test"), ips=[INSIDE])
        self.assertEqual(sim.count("db.shop.test"), 1)  # one worker of four, and no AAAA

    def test_name_is_refreshed_before_it_expires(self):
        fwd, sim = self.shop(shop(INSIDE, ttl=10), keys="keep-warm: [db.shop.test]")
        wait_for(lambda: sim.count("db.shop.test", "A") >= 1, what="the first refresh")
        sim.change_zone(0, shop("10.20.1.2", ttl=10))
        begun = time.monotonic()
        wait_for(lambda: sim.count("db.shop.test", "A") >= 2, what="the second refresh")
        response = wait_for(lambda: addresses(r := ask(fwd, "db.shop.test")) == ["10.20.1.2"] and r, what="its answer")
        self.assertLess(time.monotonic() - begun, 10)
        self.assertGreater(response.answer[0].ttl, 5)
        self.assertEqual(ede(response), [])

    def test_services_keep_their_own_names(self):
        sim = self.sim((shop(INSIDE),), count=2)
        zone = "{vpc-endpoints: {region: ap-northeast-2, services: [ssm, ecr]}, to: seoul, keep-warm: true}"
        self.forwarder(zones_conf([endpoint_conf(sim)], [zone], self.world()))
        for name in ("ssm", "api.ecr", "dkr.ecr"):
            wait_for(lambda n=name: sim.count(f"{n}.ap-northeast-2.amazonaws.com", "A"), what=f"asking for {name}")


if __name__ == "__main__":
    main()
