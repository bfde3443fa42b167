"""`/metrics`: counters, gauges of the state, and resources of the processes."""

import asyncio
import os
import platform
import subprocess
import sys

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bley import __version__
from bley.checks.lists.report import ListReport
from bley.core.findings import LOG_FIELDS, FindingKind
from tests.fakes import ILL_LIST, WELL_LIST
from tests.integration.web.site import Site


def _have(site: Site, *lists: ListReport) -> None:
    site.bley.state = site.bley.state._replace(lists=list(lists))


async def test_the_format_is_prometheus_s(site: Site) -> None:
    answer = await site.get("/metrics")
    assert answer.status == 200
    assert answer.type.startswith("text/plain; version=")


async def test_gauges_of_the_lists(site: Site) -> None:
    metrics = await site.metrics()
    assert metrics["bley_list_well"] == {
        ("zen.spamhaus.org", "4"): 1,
        ("bl.example", "4"): 0,
        ("bl.example", "6"): 0,
    }
    assert metrics["bley_list_latency_seconds"] == {
        ("zen.spamhaus.org", "0.5"): 0.02,
        ("zen.spamhaus.org", "0.95"): 0.5,
    }


async def test_a_domain_list_is_well_for_domains(site: Site) -> None:
    """A zone that is in both settings has one latency, that of its addresses."""
    domains: ListReport = {**ILL_LIST, "setting": "domain_lists", "state_ipv6": "not served", "median_seconds": 3.0}
    _have(site, domains, {**ILL_LIST, "state": "well", "state_ipv6": "not served", "median_seconds": 0.5})
    metrics = await site.metrics()
    assert metrics["bley_list_well"] == {("bl.example", "4"): 1, ("bl.example", "domains"): 0}
    assert metrics["bley_list_latency_seconds"] == {("bl.example", "0.5"): 0.5}


@pytest.mark.parametrize("state", ["untested", "ill", "dead"])
async def test_only_a_well_list_is_well(site: Site, state: str) -> None:
    _have(site, {**WELL_LIST, "state": state})
    assert (await site.metrics())["bley_list_well"] == {("zen.spamhaus.org", "4"): 0}


async def test_a_list_for_ipv6_clients_only_is_well_for_these(site: Site) -> None:
    _have(site, {**WELL_LIST, "state": "not served", "state_ipv6": "well"})
    assert (await site.metrics())["bley_list_well"] == {("zen.spamhaus.org", "6"): 1}


async def test_a_list_in_both_settings_is_shown_once(site: Site) -> None:
    """Prometheus rejects a scrape with duplicate samples."""
    _have(site, WELL_LIST, {**WELL_LIST, "setting": "dnswls"})
    text = (await site.get("/metrics")).text
    assert text.count('bley_list_well{ip="4",list="zen.spamhaus.org"}') == 1


async def test_whether_the_dns_is_silent(site: Site) -> None:
    assert (await site.metrics())["bley_dns_silent"] == {(): 0}
    site.bley.state = site.bley.state._replace(dns_is_silent=True)
    assert (await site.metrics())["bley_dns_silent"] == {(): 1}


async def test_whether_the_resolver_alters_answers(site: Site) -> None:
    assert (await site.metrics())["bley_dns_altered"] == {(): 0}
    site.bley.state = site.bley.state._replace(resolver_fault="the resolver filters")
    assert (await site.metrics())["bley_dns_altered"] == {(): 1}


async def test_gateways_are_counted(site: Site) -> None:
    assert (await site.metrics())["bley_hidden_clients"] == {(): 0}
    site.bley.state = site.bley.state._replace(helo_names=(("172.18.0.1", frozenset("abcde")),))
    assert (await site.metrics())["bley_hidden_clients"] == {(): 1}


async def test_findings_are_there_from_the_start(site: Site) -> None:
    """Unknown findings are counted for the checks that can be unknown."""
    metrics = await site.metrics()
    assert set(metrics["bley_unknown_findings_total"]) == {(check.value,) for check in LOG_FIELDS}
    assert set(metrics["bley_findings_total"]) == {(fact.value,) for fact in FindingKind}


async def test_families_are_unique_and_documented(site: Site) -> None:
    """The list of families is in docs/metrics.md, which another test checks."""
    families = list(text_string_to_metric_families((await site.get("/metrics")).text))
    assert all(family.documentation for family in families)
    names = [family.name for family in families]
    assert sorted(set(names)) == sorted(names)


async def test_without_workers_counters_are_shown(site: Site) -> None:
    site.bley.lives = False
    metrics = await site.metrics()
    assert {"bley_store_down", "bley_decisions_total", "bley_build_info", "process_cpu_seconds_total"} <= set(metrics)
    assert not {"bley_list_well", "bley_dns_silent", "bley_connections"} & set(metrics)


async def test_gauges_of_the_state(site: Site) -> None:
    metrics = await site.metrics()
    assert metrics["bley_connections"] == {(): 3}
    assert metrics["bley_store_waiting"] == {("writes",): 1, ("decisions",): 20}
    assert metrics["bley_running"] == {("tasks",): 8, ("spf",): 0}
    assert metrics["bley_cache_entries"] == {("requests",): 4, ("triplets",): 5, ("clients",): 6, ("spf",): 7}


async def test_version_of_the_program(site: Site) -> None:
    python = platform.python_version()
    text = (await site.get("/metrics")).text
    assert f'bley_build_info{{python="{python}",version="{__version__}"}} 1.0' in text


async def test_resources_of_each_process(site: Site) -> None:
    """A process that has ended is left out."""
    other = await asyncio.create_subprocess_exec(sys.executable, "-c", "input()", stdin=subprocess.PIPE)
    site.bley.processes = {"main": os.getpid(), "1": other.pid}
    metrics = await site.metrics()
    await other.communicate(b"\n")
    for name in ("cpu_seconds_total", "resident_memory_bytes", "open_fds", "max_fds", "start_time_seconds"):
        assert set(metrics[f"process_{name}"]) == {("main",), ("1",)}
    assert metrics["process_open_fds"][("1",)] < 10
    assert set((await site.metrics())["process_open_fds"]) == {("main",)}
