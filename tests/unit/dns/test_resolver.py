"""Which servers c-ares queries, and which queries it gets. Real queries are in tests/integration/dns."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bley.core.errors import ResolverError, SettingsError
from bley.dns import resolv_conf
from bley.dns.resolver import CachingResolver
from bley.ports import Outcome, ResourceRecord, RrType
from bley.settings.settings import Settings
from bley.settings.values import parse_server

_WITHIN = timedelta(seconds=2)
_LIKE_A_SERVER = r"(1\.2\.3\.4|\[(::1|fe80::1|fec0::1)(%(lo|1|nope))?\]|fe80::1(%(lo|nope))?)(:[+_ 0-9]{0,9})?"


@pytest.mark.parametrize(
    ("server", "asked"),
    [
        ("127.0.0.1", "127.0.0.1:53"),
        ("127.0.0.1:053", "127.0.0.1:53"),
        ("[127.0.0.1]:54", "127.0.0.1:54"),
        ("::1", "[::1]:53"),
        ("[::1]", "[::1]:53"),
        ("[::1]:54", "[::1]:54"),
        ("[::ffff:192.0.2.1]:53", "192.0.2.1:53"),
        ("fe80::1%lo", "[fe80::1]:53%lo"),
        ("[fe80::1%lo]:54", "[fe80::1]:54%lo"),
    ],
)
async def test_a_server_may_be_written_in_any_of_the_usual_forms(server: str, asked: str) -> None:
    resolver = CachingResolver([server], _WITHIN)
    assert resolver._channel._cares.servers == [asked]
    await resolver.close()


@given(st.text("0123456789abcdef.:[]%+_-lo eth0\u0665", max_size=24) | st.from_regex(_LIKE_A_SERVER, fullmatch=True))
async def test_what_the_settings_take_c_ares_takes_too(text: str) -> None:
    """And asks there."""
    try:
        servers = Settings.model_validate({"resolver": text}).resolver
    except ValidationError:
        return
    resolver = CachingResolver(servers, _WITHIN)
    if servers:
        assert "" not in resolver._channel._cares.servers
        assert len(resolver._channel._cares.servers) == len({parse_server(server) for server in servers})
    await resolver.close()


async def test_what_c_ares_does_not_take_is_the_operator_s_to_mend() -> None:
    with pytest.raises(SettingsError, match="resolver: nowhere: c-ares cannot query it"):
        CachingResolver(["nowhere"], _WITHIN)


@pytest.mark.parametrize(
    ("text", "servers"),
    [("", ["127.0.0.1:53"]), ("search a..b\nnameserver foo\nnameserver ::1\n", ["[::1]:53"])],
)
async def test_the_system_s_servers_are_those_that_can_be_used(
    text: str, servers: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None: the one on this machine (resolv.conf(5))."""
    file = tmp_path / "resolv.conf"
    file.write_text(text)
    monkeypatch.setattr(resolv_conf, "RESOLV_CONF", file)
    resolver = CachingResolver([], _WITHIN)
    assert resolver._channel._cares.servers == servers
    await resolver.close()


class HeldChannel:
    """A channel that answers when the test says so, and counts what it is queried for."""

    cached_bytes = 0

    def __init__(self) -> None:
        self.queries: list[tuple[str, RrType]] = []
        self._callbacks: list[Callable[[Outcome], object]] = []

    def query(self, name: str, rrtype: RrType, then: Callable[[Outcome], object]) -> None:
        self.queries.append((name, rrtype))
        self._callbacks.append(then)

    def answer(self, *records: ResourceRecord) -> None:
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(records)

    def close(self) -> None: ...


class TestSharedQueries:
    """Equal queries in flight are one query: a wave of mail from one domain costs one."""

    RECORDS: Sequence[ResourceRecord] = (ResourceRecord("a.example", "TXT", b"v=spf1 -all", 60),)

    @pytest.fixture
    async def resolver(self, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[CachingResolver]:
        monkeypatch.setattr("bley.dns.resolver.CAresChannel", lambda *_: HeldChannel())
        resolver = CachingResolver(["127.0.0.1"], _WITHIN)
        yield resolver
        await resolver.close()

    async def test_equal_queries_in_flight_share_one_answer(self, resolver: CachingResolver) -> None:
        channel = cast(HeldChannel, resolver._channel)
        answers = [resolver.resolve("a.example", "TXT") for _ in range(20)]
        assert channel.queries == [("a.example", "TXT")]
        channel.answer(*self.RECORDS)
        assert [await answer for answer in answers] == [self.RECORDS] * 20

    async def test_answered_query_is_not_shared_any_more(self, resolver: CachingResolver) -> None:
        """The cache of c-ares, which knows the TTL, answers the next one."""
        channel = cast(HeldChannel, resolver._channel)
        for count in (1, 2):
            answer = resolver.resolve("a.example", "TXT")
            assert len(channel.queries) == count
            channel.answer(*self.RECORDS)
            assert await answer == self.RECORDS

    async def test_other_name_or_type_is_another_query(self, resolver: CachingResolver) -> None:
        channel = cast(HeldChannel, resolver._channel)
        keys: list[tuple[str, RrType]] = [("a.example", "TXT"), ("a.example", "A"), ("b.example", "TXT")]
        for name, rrtype in keys:
            resolver.resolve(name, rrtype)
        assert channel.queries == keys
        channel.answer()

    async def test_answer_reaches_the_others_after_a_bug_of_one(
        self, resolver: CachingResolver, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Nothing else would end their wait before the deadline."""

        def fail(_: Outcome) -> None:
            raise ZeroDivisionError

        outcomes: list[Outcome] = []
        for then in (fail, outcomes.append):
            resolver.query("a.example", "TXT", then)
        cast(HeldChannel, resolver._channel).answer(*self.RECORDS)
        assert outcomes == [self.RECORDS]
        assert "ZeroDivisionError" in caplog.text

    async def test_caller_that_is_cancelled_takes_no_answer_from_the_others(self, resolver: CachingResolver) -> None:
        first, second = (resolver.resolve("a.example", "TXT") for _ in range(2))
        first.cancel()
        cast(HeldChannel, resolver._channel).answer(*self.RECORDS)
        assert await second == self.RECORDS

    @pytest.mark.leaps
    async def test_one_timer_serves_all_queries_and_ends_with_them(
        self, resolver: CachingResolver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each is sent again once after a tenth of the time, and given up at its end."""
        hedged: list[str] = []
        monkeypatch.setattr(resolver, "hedge", lambda name, _: hedged.append(name))
        loop, outcomes = asyncio.get_running_loop(), dict[str, tuple[float, Outcome]]()

        def query(name: str) -> None:
            started = loop.time()
            resolver.query(name, "A", lambda outcome: outcomes.update({name: (loop.time() - started, outcome)}))

        query("a.example")
        await asyncio.sleep(0.5)
        assert hedged == ["a.example"]
        query("b.example")
        await asyncio.sleep(3)
        assert hedged == ["a.example", "b.example"]
        for seconds, outcome in outcomes.values():
            assert 2 <= seconds <= 2.1
            assert isinstance(outcome, ResolverError)
            assert outcome.is_silence
        assert list(outcomes) == ["a.example", "b.example"]
        assert resolver._timer is None

    @pytest.mark.leaps
    async def test_query_that_ends_while_another_is_given_up_is_left_alone(
        self, resolver: CachingResolver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A callback may query again, and c-ares may end others then. The timer goes on."""
        monkeypatch.setattr(resolver, "hedge", lambda *_: None)
        outcomes = dict[str, Outcome]()

        def take(name: str, outcome: Outcome) -> None:
            outcomes[name] = outcome
            if name == "a.example":
                cast(HeldChannel, resolver._channel).answer(*self.RECORDS)

        for name in ("a.example", "b.example"):
            resolver.query(name, "A", partial(take, name))
        await asyncio.sleep(2.5)
        assert isinstance(outcomes["a.example"], ResolverError)
        assert outcomes["b.example"] == self.RECORDS
        resolver.query("c.example", "A", partial(take, "c.example"))
        await asyncio.sleep(2.5)
        assert isinstance(outcomes["c.example"], ResolverError)

    @pytest.mark.leaps
    async def test_bug_in_a_hedged_query_is_a_failure_at_once(
        self, resolver: CachingResolver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def fail() -> Sequence[ResourceRecord]:
            raise ZeroDivisionError

        monkeypatch.setattr(resolver, "hedge", lambda *_: asyncio.ensure_future(fail()))
        with pytest.raises(ResolverError, match="internal error"):
            await asyncio.wait_for(resolver.resolve("a.example", "A"), 1)
        assert "ZeroDivisionError" in caplog.text
