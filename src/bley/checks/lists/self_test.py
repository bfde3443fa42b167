"""The self-test of a DNS list (RFC 5782 5): one entry that it must list, and one that it must not list.

The resolver may have both in its cache long after the list has died. So a third, unpredictable one is queried: a random
address of those reserved for measurements (RFC 2544, RFC 5180), or a random domain. It may be listed or not.
"""

import asyncio
import logging
import secrets
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address

from bley.core.dnslists.health import UNREACHABLE, WELL, Diagnosis, ListFault, diagnose
from bley.core.dnslists.known import DOMAINS
from bley.core.dnslists.lists import Answer, DnsList, Meaning, interpret, query_name
from bley.core.dnslists.resolver_fault import rewritten
from bley.core.errors import ResolverError
from bley.ports import Outcome, ResourceRecord, UncachedResolver

__all__ = ["read_answer", "read_outcome", "self_test"]

_log = logging.getLogger(__name__)

_RANDOM_BYTES = 8

_MEASUREMENT: dict[int, IPv4Network | IPv6Network] = {4: IPv4Network("198.18.0.0/15"), 6: IPv6Network("2001:2::/64")}


async def self_test(dns_list: DnsList, resolver: UncachedResolver) -> dict[int, Diagnosis] | None:
    """Test the list. Return a diagnosis for each IP version that it serves; if it is ill for IPv4, only that one.

    A domain list has one diagnosis, for DOMAINS.

    Return None if the test has no result because the DNS is silent.
    """
    facts = dns_list.facts
    found: dict[int, Diagnosis] = {}
    tests = (_test_version(dns_list, version, resolver) for version in dns_list.versions)
    for version, diagnosis in zip(dns_list.versions, await asyncio.gather(*tests), strict=True):
        if diagnosis.fault in UNREACHABLE:
            if not await resolver.has_answers():
                return None
            diagnosis = await _test_version(dns_list, version, resolver)  # the DNS may have been silent until now
        if found and facts.ipv6 is None and diagnosis.fault not in (None, ListFault.LISTS_ALL):
            break  # it is not known to have IPv6 addresses, and has none
        if found and diagnosis.fault is ListFault.EMPTIED:
            diagnosis = WELL  # the list works for IPv4, and many have no test entry for IPv6
        found[version] = diagnosis
        if diagnosis.fault:
            break
    return found


async def _test_version(dns_list: DnsList, version: int, resolver: UncachedResolver) -> Diagnosis:
    entries = (*dns_list.facts.test_entries(version), _random_entry(version))
    listed, clear, random = await asyncio.gather(*(_query(dns_list, entry, resolver) for entry in entries))
    diagnosis = diagnose(dns_list.facts, listed, clear, random)
    unlisted = [test[1] for test in (clear, random) if test]
    if any(answer.codes for answer in unlisted):  # else no name is queried in vain
        diagnosis = rewritten(diagnosis, unlisted, resolver.name, await resolver.invented_addresses())
    return diagnosis


def _random_entry(version: int) -> str:
    if version == DOMAINS:
        return f"{secrets.token_hex(_RANDOM_BYTES)}.com"
    network = _MEASUREMENT[version]
    return str(network.network_address + secrets.randbelow(network.num_addresses))


async def _query(dns_list: DnsList, entry: str, resolver: UncachedResolver) -> tuple[str, Answer] | None:
    if not entry:
        return None
    subject = entry if dns_list.is_of_domains else ip_address(entry)
    query = resolver.resolve(query_name(subject, dns_list.zone), "A")
    await asyncio.wait([query])
    answer, expected = read_answer(dns_list, query), dns_list.facts.test_answer
    if expected and answer.codes and all(code in expected for code in answer.codes):
        answer = Answer(Meaning.LISTED, answer.codes)
    return entry, answer


def read_answer(dns_list: DnsList, query: asyncio.Future[Sequence[ResourceRecord]]) -> Answer:
    """Return the list's answer from the result of a query that has ended."""
    if query.cancelled():
        return Answer(Meaning.SILENT, why="cancelled")
    error = query.exception()
    if error is None or isinstance(error, ResolverError):
        return read_outcome(dns_list, error or query.result())
    _log.error("internal error; please report it", exc_info=error)
    return Answer(Meaning.FAILED, why=f"internal error: {error!r}")


def read_outcome(dns_list: DnsList, outcome: Outcome) -> Answer:
    """Return the list's answer from the outcome of a query."""
    if isinstance(outcome, ResolverError):
        meaning = Meaning.SILENT if outcome.is_silence else Meaning.FAILED
        return Answer(meaning, why=outcome.why.replace(dns_list.zone, dns_list.name))
    return interpret(dns_list.facts, [str(record.data) for record in outcome if record.rrtype == "A"])
