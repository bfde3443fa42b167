"""Who says the password is let in, and who does not costs little."""

import asyncio
import base64
import hashlib
import logging
from collections import Counter
from collections.abc import Sequence
from ipaddress import ip_address

import pytest

from bley.core.mail import Address
from bley.settings.web_password import PasswordHash
from bley.web.password_gate import PasswordGate, TooManyAttemptsError

pytestmark = pytest.mark.leaps

PEER, OTHER = ip_address("192.0.2.1"), ip_address("192.0.2.2")


def cheap_hash(password: str) -> PasswordHash:
    """A hash that takes no time."""
    digest = hashlib.scrypt(password.encode(), salt=b"salt" * 4, n=1024, r=8, p=1, dklen=32)
    return PasswordHash(10, 8, 1, b"salt" * 4, digest)


def basic(password: str, user: str = "bley") -> str:
    """The header."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class Counted(PasswordHash):
    """A hash that counts how often it was computed."""

    tried: list[str] = []  # noqa: RUF012 a dataclass with slots has no other place; each test empties it

    def is_of(self, password: str) -> bool:
        self.tried.append(password)
        return super().is_of(password)


@pytest.fixture
def gate() -> PasswordGate:
    Counted.tried.clear()
    gate = PasswordGate(pause_seconds=0, monotonic_seconds=lambda: Clock.now)
    Clock.now = 1000.0
    known = cheap_hash("secret")
    gate.set_password(Counted(known.ln, known.r, known.p, known.salt, known.digest))
    return gate


class Clock:
    now = 1000.0


@pytest.mark.parametrize("user", ["bley", "jane", ""])
async def test_the_password_is_right_whoever_says_it(gate: PasswordGate, user: str) -> None:
    assert await gate.admits(basic("secret", user), PEER)


async def test_the_scheme_is_in_any_case(gate: PasswordGate) -> None:
    assert await gate.admits(basic("secret").replace("Basic", "bAsIc "), PEER)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic",
        "Basic !",
        "Basic " + base64.b64encode(b"secret").decode(),
        "Basic " + base64.b64encode(b"bley:").decode(),
        "Basic " + base64.b64encode(b"bley:\xff").decode(),
        "Digest secret",
        "Bearer",
        "Bearer secret",
        "Bearer \udcff",
    ],
)
async def test_what_has_no_password_is_wrong_at_no_cost(gate: PasswordGate, header: str) -> None:
    assert not await gate.admits(header, PEER)
    assert not Counted.tried


async def test_a_wrong_password_is_wrong_each_time(gate: PasswordGate) -> None:
    for _ in range(2):
        assert not await gate.admits(basic("wrong"), PEER)
    assert Counted.tried == ["wrong", "wrong"]


async def test_without_a_password_everybody_is_let_in() -> None:
    assert await PasswordGate().admits("", PEER)


async def test_what_was_right_is_remembered_for_ten_minutes_after_its_last_use(gate: PasswordGate) -> None:
    for _ in range(3):
        assert await gate.admits(basic("secret"), OTHER)
        Clock.now += 599
    assert Counted.tried == ["secret"]
    Clock.now += 2
    assert await gate.admits(basic("secret"), PEER)
    assert Counted.tried == ["secret", "secret"]


async def test_who_says_the_same_at_once_is_answered_by_one_look(gate: PasswordGate) -> None:
    assert all(await asyncio.gather(*(gate.admits(basic("secret"), PEER) for _ in range(9))))
    assert Counted.tried == ["secret"]


class Held(PasswordHash):
    """A hash that notes in which order it was asked, and how many at once."""

    order: list[str] = []  # noqa: RUF012 as above
    at_once: list[int] = []  # noqa: RUF012
    running = 0

    def is_of(self, password: str) -> bool:
        Held.running += 1
        Held.at_once.append(Held.running)
        Held.order.append(password)
        try:
            return super().is_of(password)
        finally:
            Held.running -= 1


@pytest.fixture
def held(gate: PasswordGate) -> PasswordGate:
    Held.order.clear()
    Held.at_once.clear()
    known = cheap_hash("secret")
    gate.set_password(Held(known.ln, known.r, known.p, known.salt, known.digest))
    return gate


def _trying(gate: PasswordGate, password: str, peer: Address = PEER) -> asyncio.Task[bool]:
    return asyncio.create_task(gate.admits(basic(password), peer))


async def _outcomes(tasks: Sequence[asyncio.Task[bool]]) -> list[object]:
    """What each was told: True, False, or the class of the error."""
    results = await asyncio.gather(*tasks, return_exceptions=True)
    return [type(each) if isinstance(each, BaseException) else each for each in results]


async def test_hashes_are_computed_one_at_a_time_and_in_a_thread(held: PasswordGate) -> None:
    peers = [ip_address(f"198.51.100.{number}") for number in range(9)]
    assert not any(await asyncio.gather(*(held.admits(basic(f"wrong {peer}"), peer) for peer in peers)))
    assert Held.at_once == [1] * 9


async def test_who_tries_many_delays_only_his_own(held: PasswordGate) -> None:
    """And of one address few wait at a time."""
    trying = [_trying(held, f"wrong {number}") for number in range(20)]
    await asyncio.sleep(0)
    assert await held.admits(basic("secret"), OTHER)
    assert Held.order.index("secret") <= 2
    assert Counter(await _outcomes(trying)) == {False: 5, TooManyAttemptsError: 15}


async def test_an_ipv6_network_is_one_address(held: PasswordGate) -> None:
    trying = [_trying(held, f"wrong {number}", ip_address(f"2001:db8::{number:x}")) for number in range(20)]
    assert Counter(await _outcomes(trying)) == {False: 5, TooManyAttemptsError: 15}


async def test_the_right_password_gets_in_beside_wrong_ones_of_the_same_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Behind a proxy that does not say for whom it asks all have one address: a stranger locks nobody out."""
    monkeypatch.setattr("bley.web.password_gate._REST", 0.0)
    gate = PasswordGate(pause_seconds=3600)
    gate.set_password(cheap_hash("secret"))
    for number in range(10):
        wrong = _trying(gate, f"wrong {number}")
        await asyncio.sleep(0)
        gate._cache.clear()
        assert await gate.admits(basic("secret"), PEER)
        assert not wrong.done(), "it is answered after its pause"


async def test_wrong_answers_that_wait_make_room_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many addresses try: their pauses end early, and the right password is not refused."""
    monkeypatch.setattr("bley.web.password_gate._REST", 0.0)
    gate = PasswordGate(pause_seconds=3600)
    gate.set_password(cheap_hash("secret"))
    trying = [_trying(gate, f"wrong {number}", ip_address(f"198.51.100.{number}")) for number in range(32)]
    for _ in range(1000):
        await asyncio.sleep(0.01)
        if len(gate._pauses) == 32:
            break
    assert await gate.admits(basic("secret"), OTHER)
    late = [_trying(gate, f"late {number}", ip_address(f"203.0.113.{number}")) for number in range(34)]
    assert await _outcomes(trying) == [False] * 32
    assert not any(each.done() for each in late[:30]), "the newest pauses go on"


async def test_where_all_wait_the_address_that_has_most_loses_one(held: PasswordGate) -> None:
    trying = [
        _trying(held, f"{peer} {number}", ip_address(f"198.51.100.{peer}")) for peer in range(8) for number in range(4)
    ]
    trying.append(_trying(held, "one more", ip_address("198.51.100.0")))
    await asyncio.sleep(0)
    assert await held.admits(basic("secret"), OTHER)
    assert Counter(await _outcomes(trying)) == {False: 32, TooManyAttemptsError: 1}


async def test_a_wrong_password_is_answered_after_a_pause(gate: PasswordGate, monkeypatch: pytest.MonkeyPatch) -> None:
    paused: list[float] = []

    async def sleep(seconds: float) -> None:
        paused.append(seconds)

    monkeypatch.setattr("bley.web.password_gate.asyncio.sleep", sleep)
    gate = PasswordGate()
    gate.set_password(cheap_hash("secret"))
    assert await gate.admits(basic("secret"), PEER)
    assert not await gate.admits(basic("wrong"), PEER)
    assert paused == [2]


async def test_a_new_password_makes_the_old_one_wrong(gate: PasswordGate) -> None:
    assert await gate.admits(basic("secret"), PEER)
    gate.set_password(cheap_hash("other"))
    assert not await gate.admits(basic("secret"), PEER)
    assert await gate.admits(basic("other"), PEER)


async def test_one_that_changes_while_it_is_tried_lets_nobody_in(gate: PasswordGate) -> None:
    trying = asyncio.create_task(gate.admits(basic("secret"), PEER))
    await asyncio.sleep(0)
    gate.set_password(cheap_hash("other"))
    assert not await trying
    assert not await gate.admits(basic("secret"), PEER)


async def test_a_command_of_ours_shows_that_it_can_read_the_hash(gate: PasswordGate) -> None:
    assert await gate.admits(f"Bearer {cheap_hash('secret').proof}", PEER)
    assert not await gate.admits(f"Bearer {cheap_hash('other').proof}", PEER)


async def test_wrong_ones_are_told_once_a_minute_with_their_number(
    gate: PasswordGate, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            await gate.admits(basic("wrong"), PEER)
        Clock.now += 60
        await gate.admits(basic("wrong"), OTHER)
    assert caplog.messages == [
        "web_listen: 1 wrong password since the last such warning, the latest from 192.0.2.1",
        "web_listen: 3 wrong passwords since the last such warning, the latest from 192.0.2.2",
    ]
    assert "wrong:" not in caplog.text
