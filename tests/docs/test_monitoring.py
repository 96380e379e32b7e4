#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whether conf/alerts.yml and conf/grafana-dashboard.json hold: every metric and label that they name exists, Prometheus takes each of
their expressions, and the alerts go off when they should and not otherwise (promtool)."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(os.path.join(HERE, "..", ".."))
ALERTS = os.path.join(ROOT, "conf", "alerts.yml")
DASHBOARD = os.path.join(ROOT, "conf", "grafana-dashboard.json")

METRIC = re.compile(r"\br53fwd_[a-z0-9_]+")
SELECTION = re.compile(r"\b(r53fwd_[a-z0-9_]+)\{([^}]*)\}")
ROW = re.compile(r'^(METRIC|GATHERED)\(\w+, "(\w+)", (?:(COUNTER|GAUGE|HISTOGRAM), )?"((?:[^"\\]|\\.)*)"', re.M)
# Labels that Prometheus and a histogram add.
ADDED = {"instance", "job", "le"}


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def families():
    """Every name that a sample may have: the labels that it carries."""
    found = {}
    for macro, family, kind, labels in ROW.findall(read(os.path.join(ROOT, "include/tables/metrics.def"))):
        names = {label.split("=")[0] for label in labels.replace('\\"', '"').split(",") if label}
        for suffix in ("_bucket", "_sum", "_count") if kind == "HISTOGRAM" else ("",):
            found.setdefault("r53fwd_" + family + suffix, set()).update(names)
    return found


def dashboard_expressions():
    return [t["expr"] for p in json.loads(read(DASHBOARD))["panels"] for t in p.get("targets", [])]


def as_rules(expressions):
    """Recording rules of them, with Grafana's variables filled in."""
    lines = ["groups:", "  - name: dashboard", "    rules:"]
    for i, expression in enumerate(expressions):
        plain = re.sub(r"\$\w+", ".*", expression.replace("$__rate_interval", "5m"))
        lines += [f"      - record: dashboard:e{i}", "        expr: " + json.dumps(plain)]
    return "\n".join(lines) + "\n"


class Monitoring(unittest.TestCase):
    def texts(self):
        yield "conf/alerts.yml", re.sub(r"^#.*$", "", read(ALERTS), flags=re.M)
        yield "conf/grafana-dashboard.json", "\n".join(
            dashboard_expressions() + [v.get("definition", "") for v in json.loads(read(DASHBOARD))["templating"]["list"]]
        )

    def test_every_metric_that_they_name_exists(self):
        known = families()
        self.assertGreater(len(known), 40)
        for path, text in self.texts():
            named = set(METRIC.findall(text))
            self.assertGreater(len(named), 10, path)
            self.assertEqual(set(), named - set(known), path)

    def test_every_label_that_they_select_by_exists(self):
        known = families()
        for path, text in self.texts():
            for metric, selection in SELECTION.findall(text):
                labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selection))
                self.assertEqual(set(), labels - known[metric] - ADDED, f"{path}: {metric}")

    def test_dashboard_shows_what_is_promised_to_scripts(self):
        """A new metric needs no panel; those that others build upon have one."""
        shown = {re.sub("_(bucket|sum|count)$", "", m) for e in dashboard_expressions() for m in METRIC.findall(e)}
        promised = (
            "queries_total responses_total dropped_total cache_hits_total cache_misses_total cache_stale_total cache_evictions_total"
            " cache_entries cache_bytes coalesced_total address_up address_rtt_seconds address_queries_total address_timeouts_total"
            " address_hedges_total address_probes_total zone_queries_total zone_detached reloads_total"
        )
        self.assertEqual([], [m for m in promised.split() if "r53fwd_" + m not in shown])

    def test_panels_have_their_own_numbers_and_places(self):
        panels = json.loads(read(DASHBOARD))["panels"]
        self.assertEqual(len({p["id"] for p in panels}), len(panels))
        taken = set()
        for p in panels:
            g = p["gridPos"]
            cells = {(x, y) for x in range(g["x"], g["x"] + g["w"]) for y in range(g["y"], g["y"] + g["h"])}
            self.assertLessEqual(g["x"] + g["w"], 24, p["title"])
            self.assertFalse(cells & taken, p["title"])
            taken |= cells

    def promtool(self, *words):
        if not shutil.which("promtool"):
            self.skipTest("promtool is not installed (Debian: prometheus)")
        run = subprocess.run(["promtool", *words], capture_output=True, text=True, check=False)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)

    def test_prometheus_takes_the_rules(self):
        self.promtool("check", "rules", ALERTS)

    def test_prometheus_takes_every_expression_of_the_dashboard(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yml", encoding="utf-8") as file:
            file.write(as_rules(dashboard_expressions()))
            file.flush()
            self.promtool("check", "rules", file.name)

    def test_alerts_go_off_when_they_should_and_not_otherwise(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yml", encoding="utf-8") as file:
            file.write(read(os.path.join(HERE, "alerts_test.yml")).replace("RULES", ALERTS))
            file.flush()
            self.promtool("test", "rules", file.name)


if __name__ == "__main__":
    unittest.main()
