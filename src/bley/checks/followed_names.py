"""The names in the list of clients that bley follows: their addresses are queried in the background, never for a mail.

Each name is resolved at the start, at a reload, and when its TTL ends. A start does not wait for that: until the first
answer its clients are judged like others. Each worker resolves all names, since its addresses are its own.
"""

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Sequence
from datetime import timedelta

from bley.core.errors import ResolverError
from bley.core.escapes import escape_controls
from bley.core.exemptions.followed_name import AddressAnswer, FollowedName
from bley.core.exemptions.list_files import read_clients
from bley.core.exemptions.lookup import ClientExemptions
from bley.core.mail import parse_address
from bley.ports import Resolver, RrType

__all__ = ["FollowedNames", "find_unresolved"]

_MOST_AT_ONCE = 10
"""Names that are resolved at the same time: 20 queries. A hundred names take 45 s if no server answers."""

_TYPES: dict[int, RrType] = {4: "A", 6: "AAAA"}

_log = logging.getLogger(__name__)


class FollowedNames:
    """The followed names of the current configuration. They outlive a reload: a name keeps its addresses.

    `logs`: their news are logged. Of several workers, which all find the same, one does.
    """

    def __init__(self, *, logs: bool = True) -> None:
        self._logs = logs
        self._clients = read_clients([])
        self._resolver: Resolver
        self._names: dict[str, _Follower] = {}
        self._free = asyncio.Semaphore(_MOST_AT_ONCE)

    def switch(self, clients: ClientExemptions, resolver: Resolver) -> None:
        """Follow the names of these exemptions from now on, and no others. Cannot fail.

        Each answer of the resolver must be fresh.
        """
        self._clients, self._resolver = clients, resolver
        for name in self._names.keys() - clients.followed.keys():
            self._names.pop(name).stop()
        for name in clients.followed:
            if name in self._names:
                self._names[name].is_requested.set()
            else:
                self._names[name] = _Follower(self._follow(name))
        self._exempt()

    def _exempt(self) -> None:
        self._clients.exempt_resolved({name: each.found.addresses for name, each in self._names.items()})

    async def _follow(self, name: str) -> None:
        """Resolve the name again and again, until cancelled."""
        follower = self._names[name]
        while True:
            follower.is_requested.clear()
            try:
                async with self._free:
                    await self._resolve(name, follower.found)
            except Exception:  # noqa: BLE001 (the next resolution may succeed; logged)
                _log.exception("%s could not be resolved; please report it", name)
            follower.is_resolved.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(follower.found.interval):
                    await follower.is_requested.wait()

    async def _resolve(self, name: str, found: FollowedName) -> None:
        answers = await asyncio.gather(*(_query(self._resolver, name, version) for version in _TYPES))
        before = found.addresses
        news = found.take(dict(zip(_TYPES, answers, strict=True)), asyncio.get_running_loop().time())
        if found.addresses != before:
            self._exempt()
        if news and self._logs:
            level = logging.WARNING if news.is_warning else logging.INFO
            _log.log(level, "%s: %s", escape_controls(self._clients.followed[name]), news.text)

    async def wait_resolved(self, within: timedelta) -> None:
        """Wait until each name has been resolved or has failed, at most so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within.total_seconds()):
                for follower in list(self._names.values()):
                    await follower.is_resolved.wait()

    @property
    def troubles(self) -> Sequence[str]:
        """The names that do not resolve, each with its place in a list file, and why."""
        return [
            f"{self._clients.followed[name]}: does not resolve: {each.found.trouble}"
            for name, each in self._names.items()
            if each.found.trouble
        ]

    async def close(self) -> None:
        """Follow no name any more."""
        for follower in self._names.values():
            follower.stop()
        await asyncio.gather(*(each.task for each in self._names.values()), return_exceptions=True)


async def find_unresolved(clients: ClientExemptions, resolver: Resolver, within: timedelta) -> Sequence[str]:
    """Return the names among these exemptions that do not resolve now, as `FollowedNames.troubles`."""
    followed = FollowedNames(logs=False)
    followed.switch(clients, resolver)
    try:
        await followed.wait_resolved(within)
        return followed.troubles
    finally:
        await followed.close()


class _Follower:
    """A name that is followed, and the task that does so."""

    def __init__(self, following: Coroutine[None, None, None]) -> None:
        self.found = FollowedName()
        self.is_requested, self.is_resolved = asyncio.Event(), asyncio.Event()
        self.task = asyncio.get_running_loop().create_task(following)

    def stop(self) -> None:
        self.task.cancel()


async def _query(resolver: Resolver, name: str, version: int) -> AddressAnswer:
    """Return the addresses of one IP version; a CNAME's TTL counts too."""
    rrtype = _TYPES[version]
    try:
        records = await resolver.resolve(name, rrtype)
    except ResolverError as error:
        return AddressAnswer(failure=f"{rrtype}: {error.why}")
    addresses = (parse_address(str(record.data)) for record in records if record.rrtype == rrtype)
    ttl_seconds = min((record.ttl_seconds for record in records), default=0)
    return AddressAnswer(frozenset(filter(None, addresses)), ttl_seconds)
