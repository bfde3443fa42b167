"""What the DNS allowlists and blocklists say of a client (RFC 5782)."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from bley.core.dnslists import Answer, DnsList, question
from bley.core.errors import ResolverError
from bley.core.evidence import Finding
from bley.core.mail import Address
from bley.ports import Resolver

__all__ = ["check_dns_lists"]


async def check_dns_lists(address: Address, lists: Sequence[DnsList], resolver: Resolver, within: timedelta) -> Finding:
    """The summed weight of the lists that name the client, all asked at once.

    A list that does not answer `within` this time, or answers that it may not be asked, counts nothing;
    the finding is unknown if all are so.
    """
    answers = await asyncio.gather(*(_ask(address, dns_list, resolver, within) for dns_list in lists))
    known = [
        (dns_list, answer)
        for dns_list, answer in zip(lists, answers, strict=True)
        if isinstance(answer, Answer) and not answer.refused
    ]
    score = sum(dns_list.weight for dns_list, answer in known if answer.listed)
    detail = ", ".join(_describe(dns_list, answer) for dns_list, answer in zip(lists, answers, strict=True))
    return Finding(score if known else None, detail)


async def _ask(address: Address, dns_list: DnsList, resolver: Resolver, within: timedelta) -> Answer | ResolverError:
    name = question(address, dns_list.zone)
    try:
        async with asyncio.timeout(within.total_seconds()):
            records = await resolver.resolve(name, "A")
    except ResolverError as error:
        return error
    except TimeoutError:
        return ResolverError(name, "A", "no answer in time")
    return dns_list.understand(str(record.data) for record in records if record.rrtype == "A")


def _describe(dns_list: DnsList, answer: Answer | ResolverError) -> str:
    if isinstance(answer, ResolverError):
        return f"{dns_list.zone} unknown: {answer.why}"
    codes = " ".join(answer.codes)
    if answer.refused:
        return f"{dns_list.zone} refused: {codes}"
    if answer.listed:
        return f"{dns_list.zone} lists it: {codes} (weight {dns_list.weight})"
    return f"{dns_list.zone} {f'does not count {codes}' if codes else 'does not list it'}"
