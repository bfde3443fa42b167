"""`bley lists`: show the DNS lists of the running bley, or what they decided, or test lists now."""

import asyncio
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import click
import uvloop

from bley.checks.lists.descriptions import is_ill, listed_share, shown_state
from bley.checks.lists.report import ListReport
from bley.checks.lists.self_test import self_test
from bley.commands.documented import DocumentedCommand
from bley.commands.ending import EXIT_FAILED
from bley.commands.list_figures import show_list_figures
from bley.commands.options import config_option, json_option, load_settings
from bley.commands.output import format_milliseconds, print_document, print_hanging, print_table
from bley.commands.web_client import WebError, fetch_lists
from bley.core.dnslists.health import Diagnosis
from bley.core.dnslists.known import DOMAINS, load_known_lists, shown_zone
from bley.core.dnslists.lists import DnsList, parse_dns_lists, parse_domain_lists
from bley.core.dnslists.resolver_fault import find_resolver_fault
from bley.core.errors import BleyError
from bley.core.quantity import percent
from bley.dns.uncached import DnspythonResolver
from bley.log.decision_line import printable
from bley.settings.file import Configuration
from bley.settings.settings import Settings

__all__ = ["lists", "print_lists", "test_lists"]

_NO_LIST = "no DNS lists are configured"


class _ListsError(BleyError):
    """A list that cannot be shown; the message has the reason and the remedy."""


def _show_lists(configuration: Configuration, zones: Sequence[str], *, as_json: bool) -> bool:
    """Print all lists of the running bley, or these; return whether all are well. Raises _ListsError."""
    try:
        reports = _chosen(fetch_lists(configuration), zones)
    except WebError as error:
        raise _ListsError(f"{error}; `bley lists --test` needs no running bley") from error
    if as_json:
        print_document({"lists": reports})
    else:
        print_lists(reports)
        for what in dict.fromkeys(report["what"] for report in reports if report["what"]):
            names = dict.fromkeys(report["name"] for report in reports if report["what"] == what)
            print_hanging("", f"{', '.join(names)}: {what}")
    return not any(is_ill(report) for report in reports)


def print_lists(reports: Sequence[ListReport]) -> None:
    """Print the lists as a table."""
    if not reports:
        print(_NO_LIST)
        return
    titles = ("list", "setting", "state", "since", "answers", "listed", "median", "95%", "last error")
    print_table(titles, map(_row, reports), right=("answers", "listed", "median", "95%"))


def _chosen(reports: Iterable[ListReport], zones: Sequence[str]) -> list[ListReport]:
    reports, names = list(reports), {shown_zone(zone.lower().rstrip(".")) for zone in zones}
    if unknown := names - {report["name"] for report in reports}:
        raise _ListsError(f"{', '.join(sorted(unknown))}: not configured; `bley lists --test ZONE` tests any list")
    return [report for report in reports if not names or report["name"] in names]


def _row(report: ListReport) -> list[str]:
    share = listed_share(report)
    return [
        report["name"],
        report["setting"],
        shown_state(report),
        _time(report["since"]),
        str(sum(report["answers"].values())),
        "-" if share is None else percent(share),
        format_milliseconds(report["median_seconds"]),
        format_milliseconds(report["p95_seconds"]),
        _last_error(report),
    ]


def _last_error(report: ListReport) -> str:
    """Return the instant of the last error, with its text unless that stands below the table with its remedy."""
    at, text = report["last_error_at"], report["last_error"]
    if not at:
        return "-"
    return _time(at) if text in report["what"] else f"{_time(at)} {text}"


def _time(instant: str) -> str:
    return f"{datetime.fromisoformat(instant).astimezone(UTC):%Y-%m-%d %H:%M}"


def _test_lists(settings: Settings, zones: Sequence[str], *, as_json: bool) -> bool:
    """Test the configured lists, or these, and print the results; return whether all are well. Raises _ListsError."""
    try:
        results, fault = uvloop.run(_test_named(zones, settings))
    except ValueError as error:
        raise _ListsError(str(error)) from error
    if as_json:
        documents = [dict(zip(("name", "words", "is_well"), result, strict=True)) for result in results]
        print_document({"lists": documents, "resolver": fault})
        return all(is_well for _, _, is_well in results)
    if not results:
        print(_NO_LIST)
    width = max((len(name) for name, _, _ in results), default=0)
    for name, words, _ in results:
        print(f"{name:<{width}}  {printable(words)}")
    if fault:
        print(printable(f"It is not the lists: {fault}: see docs/lists.md"))
    return all(is_well for _, _, is_well in results)


_Result = tuple[str, str, bool]
"""The list's name, the result in words, and whether it is well."""


async def _test_named(zones: Sequence[str], settings: Settings) -> tuple[list[_Result], str]:
    """Test the lists of the settings, or these zones: as what they are, or as both if that is unknown."""
    configured = list(chain.from_iterable(settings.dns_lists.values()))
    if not zones:
        return await test_lists(configured, settings)
    keys, named = {each.key for each in configured}, " ".join(zones)
    lists, guesses = list[DnsList](), dict[str, DnsList]()
    for addresses, domains in zip(parse_dns_lists(named), parse_domain_lists(named), strict=True):
        known = [each for each in (addresses, domains) if each.key in keys or _is_known(each)]
        lists += known or [addresses]
        if not known:
            guesses[addresses.name] = domains
    results, fault = await test_lists(lists, settings)
    guesses = {name: guesses[name] for name, _, is_well in results if name in guesses and not is_well}
    others, _ = await test_lists(guesses.values(), settings)
    well = {result[0]: result for result in others if result[2]}
    return [well.get(result[0], result) for result in results], fault


def _is_known(dns_list: DnsList) -> bool:
    """Whether the list is known to have addresses, or domains if it is a domain list."""
    facts = dns_list.facts
    return bool(facts.source) and (facts.domains if dns_list.is_of_domains else bool(facts.versions))


_Found = Mapping[int, Diagnosis] | None
"""The result of a self-test."""


async def test_lists(lists: Iterable[DnsList], settings: Settings) -> tuple[list[_Result], str]:
    """Test each of these lists once.

    Return the results, and the fault of the resolver with its remedy; empty if it has none.
    """
    lists = list({dns_list.key: dns_list for dns_list in lists}.values())
    resolver = DnspythonResolver(settings.resolver, settings.check_timeout)
    tests = await asyncio.gather(*(_test(dns_list, resolver) for dns_list in lists))
    ill = [(dns_list, next(_faults(found), None)) for dns_list, found in zip(lists, tests, strict=True)]
    fault = find_resolver_fault([(dns_list, each[1]) for dns_list, each in ill if each], resolver.name)
    keys = fault.keys if fault else frozenset()
    results = [_result(dns_list, found, keys) for dns_list, found in zip(lists, tests, strict=True)]
    return results, str(fault.diagnosis) if fault else ""


async def _test(dns_list: DnsList, resolver: DnspythonResolver) -> _Found:
    return {} if dns_list.facts.status == "dead" else await self_test(dns_list, resolver)


def _faults(found: _Found) -> Iterator[tuple[int, Diagnosis]]:
    return ((version, diagnosis) for version, diagnosis in (found or {}).items() if diagnosis.fault)


def _result(dns_list: DnsList, found: _Found, keys_of_resolver: Collection[str]) -> _Result:
    facts = dns_list.facts
    if facts.status == "dead":
        return dns_list.name, f"dead since {facts.since}: it {facts.how}; use {facts.instead} instead", False
    if not dns_list.versions:
        return dns_list.name, "not queried: it is a list of domains, write it in domain_lists", False
    if found is None:
        return dns_list.name, "cannot be tested: no DNS server answers", False
    if dns_list.key in keys_of_resolver:
        return dns_list.name, "cannot be tested with this resolver", False
    for version, diagnosis in _faults(found):
        return dns_list.name, f"ill for {_described(version)}: {diagnosis}", False
    doubt = f", but it is doubtful since {facts.since}: it {facts.how}" if facts.status == "doubtful" else ""
    if dns_list.is_of_domains:
        return dns_list.name, f"well for domains{doubt}", True
    served = " and ".join(f"IPv{version}" for version in found)
    others = [
        f"; IPv{version} clients are not looked up: {facts.why_not_served(version)}" for version in {4, 6} - set(found)
    ]
    return dns_list.name, f"well for {served} clients{doubt}{''.join(others)}", True


def _described(version: int) -> str:
    return "domains" if version == DOMAINS else f"IPv{version} clients"


def _complete_zones(_context: click.Context, _parameter: click.Parameter, text: str) -> list[str]:
    """Return the lists that can be tested; those of a customer have a key in their names."""
    known = load_known_lists().items()
    return [zone for zone, facts in known if facts.status == "alive" and zone.startswith(text) and "*" not in zone]


@click.command(
    cls=DocumentedCommand,
    examples=["bley lists", "bley lists --since 28d", "bley lists --test zen.spamhaus.org"],
    statuses={1: "A list is not well, or bley does not answer."},
)
@config_option
@click.option("--test", is_flag=True, help="Test the lists now, those of the settings or ZONES.")
@click.option(
    "--since",
    metavar="WHEN",
    help="Show what each list decided since then: an age such as 28d, at most 400d, or a time as in `bley stats`.",
)
@json_option
@click.argument("zones", nargs=-1, shell_complete=_complete_zones)
def lists(file: Path | None, test: bool, since: str | None, as_json: bool, zones: tuple[str, ...]) -> None:
    """Show the state of the DNS lists.

    The running bley reports the state of each list, its answers, latency and last error; ZONES selects some of them.
    With --test the lists are tested now (RFC 5782, section 5), without a running bley.

    With --since, the counts in the store show which list earns its place: the strangers that it was queried about,
    those that it listed, those that no other list or finding would have deferred, the mails of these that came back,
    errors, and the median latency. No running bley is needed.
    """
    if test and since is not None:
        raise click.UsageError("--test tests the lists now, and --since shows their past: give one of them")
    configuration = load_settings(file)
    if since is not None:
        show_list_figures(configuration, zones, since, as_json=as_json)
        return
    if test:
        is_well = _test_lists(configuration.settings, zones, as_json=as_json)
    else:
        is_well = _show_lists(configuration, zones, as_json=as_json)
    sys.exit(0 if is_well else EXIT_FAILED)
