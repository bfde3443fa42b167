"""Prometheus's own tool checks the metrics of bley, and the alerts and queries of contrib/."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.integration.daemon.test_daemon import BAD, GOOD, exchange
from tests.integration.running_bley import Bley
from tests.integration.servers import require
from tests.integration.test_workers import fetch

PROJECT = Path(__file__).parents[2]
RULES = PROJECT / "contrib/prometheus-rules.yml"
RULES_TEST = Path(__file__).with_name("prometheus-rules-test.yml")
# `make test` installs it here: its Debian package would install the server too, which no test needs.
OWN_PROMTOOL = PROJECT / "var/test-servers/usr/bin/promtool"


@pytest.fixture(scope="session")
def promtool() -> str:
    program = str(OWN_PROMTOOL) if OWN_PROMTOOL.exists() else "promtool"
    require(program, "prometheus")
    return shutil.which(program) or program


def run(promtool: str, *arguments: str | Path, given: str = "") -> str:
    """Return the output. If promtool finds a fault, the test fails with it."""
    ran = subprocess.run(
        [promtool, *arguments], input=given, capture_output=True, text=True, timeout=60, check=False, env=os.environ
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


def test_the_alerts_are_valid(promtool: str) -> None:
    run(promtool, "check", "rules", "--lint-fatal", RULES)


def test_each_alert_fires_for_its_fault_and_none_while_all_is_well(promtool: str) -> None:
    run(promtool, "test", "rules", RULES_TEST)
    alerts = {rule["alert"] for rule in yaml.safe_load(RULES.read_text())["groups"][0]["rules"]}
    assert set(re.findall(r'alertname="(\w+)"', RULES_TEST.read_text())) == alerts


def test_the_dashboard_s_queries_are_valid(promtool: str, tmp_path: Path) -> None:
    dashboard = json.loads(PROJECT.joinpath("contrib/grafana-dashboard.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    rules = [
        {"record": f"panel:{number}", "expr": query.replace("$__rate_interval", "5m")}
        for number, query in enumerate(queries)
    ]
    assert len(rules) > 30
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    run(promtool, "check", "rules", file)


@pytest.mark.parametrize("workers", [1, 2])
def test_the_metrics_are_well_formed(promtool: str, tmp_path: Path, workers: int) -> None:
    """Of one process, and of several."""
    with Bley(tmp_path, workers=workers, web_listen="127.0.0.1:0", dnsbls="bl.example", check_timeout="1s") as bley:
        for request in (BAD, BAD, GOOD, GOOD, GOOD):
            exchange(bley.port, request)
        shown = fetch(bley, "/metrics")
    assert run(promtool, "check", "metrics", given=shown) == ""
