#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The status page as people see it: in a real browser, on a desk and on a telephone, by day and by night, in an outage, without scripts."""

import signal
import zlib

import browser
import lib
from lib import Case, ask, wait_for
from test_http import Http, request

DESK, TELEPHONE = (1200, 900), (390, 844)


def colours(png):
    """How many different colours a PNG has, 8 bits a sample, not interlaced: a blank page has one."""
    at, data, kind = 8, b"", 2
    while at < len(png):
        length, name = int.from_bytes(png[at : at + 4], "big"), png[at + 4 : at + 8]
        body = png[at + 8 : at + 8 + length]
        if name == b"IHDR":
            width, kind = int.from_bytes(body[:4], "big"), body[9]
        elif name == b"IDAT":
            data += body
        at += 12 + length
    channels = {2: 3, 6: 4}[kind]
    row = 1 + width * channels
    octets = zlib.decompress(data)
    # Filtered rows are differences: enough to tell a page with letters from an empty one.
    return len({octets[i : i + channels] for start in range(0, len(octets), row * 8) for i in range(start + 1, start + row, channels)})


class Page(Case):
    @classmethod
    def setUpClass(cls):
        cls.browser = browser.Browser()

    @classmethod
    def tearDownClass(cls):
        cls.browser.close()

    def set_stage(self, **options):
        fwd, sim, _ = self.serve(endpoint="max-qps: 10000", **options)
        web = self.stage.add(Http(self.stage.folder, fwd.control))
        self.browser.call("Emulation.setScriptExecutionDisabled", value=False)
        self.browser.show_as(*DESK, "light")
        self.browser.said.clear()
        self.url = f"http://{web.ip}:{web.port}/"
        return fwd, sim, web

    def test_page_fits_every_screen_by_day_and_by_night(self):
        fwd, _, _ = self.set_stage()
        for i in range(60):
            ask(fwd, f"x{i % 40}.wild.corp.test")
        tab, grounds = self.browser, set()
        for scheme in ("light", "dark"):
            for name, screen in (("desk", DESK), ("telephone", TELEPHONE)):
                tab.show_as(*screen, scheme)
                tab.open(self.url)
                self.assertLessEqual(tab.evaluate("document.documentElement.scrollWidth"), screen[0], "it is as wide as the screen at most")
                self.assertGreaterEqual(tab.evaluate("parseFloat(getComputedStyle(document.body).fontSize)"), 14)
                grounds.add((scheme, tab.evaluate("getComputedStyle(document.body).backgroundColor")))
                self.assertGreater(colours(tab.screenshot(f"{name}-{scheme}")), 20)
        self.assertEqual(len(grounds), 2)
        self.assertEqual(len({ground for _, ground in grounds}), 2, "night has another ground")
        self.assertEqual(tab.evaluate("document.querySelectorAll('.address').length"), 4)
        self.assertEqual(tab.evaluate("document.querySelectorAll('.spark').length"), 4)
        self.assertIn("all endpoints answer", tab.evaluate("document.title"))
        self.assertEqual(tab.said, [], "the console has nothing to say, nor has the policy")

    def test_page_renews_itself_and_tells_an_outage_in_large_type(self):
        fwd, sim, _ = self.set_stage()
        ask(fwd, "brief.corp.test")
        tab = self.browser
        tab.open(self.url)
        tab.evaluate("window.marker = 1; document.getElementById('zones').open = false")
        sim.ctl("all", "silent")

        def stale_is_shown():
            ask(fwd, "brief.corp.test")
            ask(fwd, "lost.corp.test")
            return tab.evaluate("!!document.querySelector('.hero') && document.querySelector('.hero h2').textContent.includes('stale')")

        wait_for(stale_is_shown, patience_s=browser.PATIENCE_S, what="the large type")
        self.assertEqual(tab.evaluate("window.marker"), 1, "the page was never loaded again")
        self.assertFalse(tab.evaluate("document.getElementById('zones').open"), "what was folded stays so")
        self.assertGreaterEqual(tab.evaluate("parseFloat(getComputedStyle(document.querySelector('.huge')).fontSize)"), 40)
        self.assertIn("none of its 3 addresses answers", tab.evaluate("document.title"))
        self.assertEqual(tab.evaluate("document.querySelectorAll('.pill.bad').length >= 4"), True)
        tab.screenshot("outage-desk-light")
        tab.show_as(*TELEPHONE, "dark")
        self.assertLessEqual(tab.evaluate("document.documentElement.scrollWidth"), TELEPHONE[0])
        tab.screenshot("outage-telephone-dark")
        sim.ctl("all", "heal")
        tab.wait_for("document.title.includes('all endpoints answer')")
        self.assertEqual(tab.said, [])

    def test_one_address_out_is_told_in_words(self):
        fwd, sim, _ = self.set_stage()
        sim.ctl(1, "silent")
        tab = self.browser
        tab.open(self.url)

        def is_told():
            for i in range(4):
                ask(fwd, f"n{i}.wild.corp.test")
            fwd.command("flush", "--all")
            return tab.evaluate("(document.querySelector('.said.now') || {}).textContent")

        told = wait_for(is_told, patience_s=browser.PATIENCE_S, what="the reason")
        self.assertRegex(told, r"unanswered|answered with an error|unreachable")
        tab.screenshot("one-out-desk-light")

    def test_page_says_when_nobody_serves_it_any_more(self):
        _, _, web = self.set_stage()
        tab = self.browser
        tab.open(self.url)
        self.assertTrue(tab.evaluate("document.getElementById('lost').hidden"))
        web.signal(signal.SIGTERM)
        self.assertEqual(web.wait(), 0)
        tab.wait_for("!document.getElementById('lost').hidden")
        self.assertEqual(tab.evaluate("document.querySelectorAll('.address').length"), 4, "what it said last stays")

    def test_page_says_when_the_daemon_is_gone(self):
        fwd, _, web = self.set_stage()
        tab = self.browser
        tab.open(self.url)
        fwd.stop()
        tab.wait_for("document.title.startsWith('no daemon')")
        self.assertIn("no daemon serves at the control socket", tab.evaluate("document.body.textContent"))
        self.assertEqual(request(web, "/")[0], 503)

    def test_page_without_scripts_shows_all_and_reloads(self):
        self.set_stage()
        tab = self.browser
        tab.call("Emulation.setScriptExecutionDisabled", value=True)
        tab.open(self.url)
        root = tab.call("DOM.getDocument")["root"]["nodeId"]
        html = tab.call("DOM.getOuterHTML", nodeId=root)["outerHTML"]
        for part in ("corp.test", "az3", "Endpoint queries avoided", '<meta http-equiv="refresh"'):
            self.assertIn(part, html)
        tab.events.clear()
        tab.wait_for_event("Page.loadEventFired")  # by itself


if __name__ == "__main__":
    lib.main()
