"""The checks of one configuration, with the resolver and the DNS lists that they use."""

import socket
from collections.abc import Iterable

from bley.checks.dns_lists import ConfiguredList
from bley.checks.gather import Checks
from bley.checks.helo import OwnIdentity
from bley.checks.lists.watch import ListWatch
from bley.checks.spf import SpfChecker
from bley.core.dnslists.lists import DnsList
from bley.dns.resolver import CachingResolver
from bley.dns.uncached import DnspythonResolver
from bley.settings.settings import Settings

__all__ = ["DnsChecks"]


class DnsChecks:
    """The checks of one configuration and their resolver; `watch` holds the health of the DNS lists.

    It has no effect until `activate` is called. Raises SettingsError if the resolver cannot be created.
    """

    def __init__(self, settings: Settings, watch: ListWatch) -> None:
        # Shorter than the deadline of the checks, so that the resolver reports which query timed out.
        within = settings.check_timeout * 0.9
        self.resolver = CachingResolver(settings.resolver, within)
        self.uncached = DnspythonResolver(settings.resolver, within)
        self._watch, self._lists = watch, watch.prepare((*settings.dnswls, *settings.dnsbls, *settings.domain_lists))
        self.spf = SpfChecker(self.resolver, settings.check_timeout, best_guess=settings.use_spf_guess)
        # A best guess is no pass: RFC 7208 has none.
        sender_spf = (
            SpfChecker(self.resolver, settings.check_timeout, best_guess=False) if settings.use_spf_guess else self.spf
        )
        self.checks = Checks(
            resolver=self.resolver,
            dnswls=self._configured(settings.dnswls),
            dnsbls=self._configured(settings.dnsbls),
            domain_lists=self._configured(settings.domain_lists),
            spf=self.spf if settings.use_spf else None,
            thresholds=settings.thresholds,
            timeout=settings.check_timeout,
            scores=settings.scores,
            us=OwnIdentity(socket.gethostname(), settings.trusted_networks),
            sender_spf=sender_spf,
            queries_names=settings.check_names,
        )

    def _configured(self, lists: Iterable[DnsList]) -> list[ConfiguredList]:
        return [ConfiguredList(dns_list, self._lists[dns_list.key]) for dns_list in lists]

    def activate(self) -> None:
        """Test the DNS lists of this configuration from now on, and no others."""
        self._watch.switch(self._lists, self.uncached, self.resolver.flush_cache, self.resolver.start_probe)

    async def close(self) -> None:
        """Cancel the queries in flight."""
        await self.resolver.close()
