"""The trial with DNS lists, names and SPF as they are today."""

import asyncio
from collections.abc import Iterator
from itertools import islice

import uvloop

from bley.checks.followed_names import FollowedNames
from bley.checks.gather import Checks
from bley.checks.helo import OwnIdentity
from bley.checks.lists.watch import ListWatch
from bley.core.mail import parse_address
from bley.daemon.dns_checks import DnsChecks
from bley.ports import utc_now
from bley.settings.file import Configuration
from bley.trial.facts import Facts
from bley.trial.trial import Trial

__all__ = ["judge_with_dns"]

_AT_ONCE = 50
"""Mails whose queries run at the same time; the resolver then has the answers when each is judged in its order."""


def judge_with_dns(configuration: Configuration, us: OwnIdentity, mails: Iterator[Facts]) -> Trial:
    """Judge the mails with the daemon's own checks."""
    return uvloop.run(_judge(configuration, us, mails))


async def _judge(configuration: Configuration, us: OwnIdentity, mails: Iterator[Facts]) -> Trial:
    watch = ListWatch(utc_now)
    dns = DnsChecks(configuration.settings, watch)
    dns.activate()
    followed = FollowedNames(logs=False)
    followed.switch(configuration.clients, dns.uncached)
    try:
        within = configuration.settings.check_timeout
        await asyncio.gather(watch.wait_tested(within), followed.wait_resolved(within))
        trial = Trial(configuration, us, dns.checks)
        while portion := list(islice(mails, _AT_ONCE)):
            await asyncio.gather(*(_query(dns.checks, facts) for facts in portion))
            for facts in portion:
                await trial.judge(facts)
        return trial
    finally:
        await followed.close()
        await watch.close()
        await dns.close()


async def _query(checks: Checks, facts: Facts) -> None:
    """Fill the resolver's cache with the answers about a mail."""
    if address := parse_address(facts.client_address):
        gathered = await checks.gather(facts.request, address)
        gathered.cancel_rest()
