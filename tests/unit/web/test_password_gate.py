"""The right password is admitted, and wrong ones cost little."""

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
    """Return a hash with cheap parameters."""
    digest = hashlib.scrypt(password.encode(), salt=b"salt" * 4, n=1024, r=8, p=1, dklen=32)
    return PasswordHash(10, 8, 1, b"salt" * 4, digest)


def basic(password: str, user: str = "bley") -> str:
    """Return the header `Authorization`."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class Counted(PasswordHash):
    """A hash that records each computation."""

    tried: list[str] = []  # noqa: RUF012 a dataclass with slots has no other place; each test clears it

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
async def test_the_user_name_does_not_matter(gate: PasswordGate, user: str) -> None:
    assert await gate.admits(basic("secret", user), PEER)


async def test_the_scheme_is_case_insensitive(gate: PasswordGate) -> None:
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
async def test_a_header_without_a_password_costs_no_hash(gate: PasswordGate, header: str) -> None:
    assert not await gate.admits(header, PEER)
    assert not Counted.tried


async def test_a_wrong_password_is_not_cached(gate: PasswordGate) -> None:
    for _ in range(2):
        assert not await gate.admits(basic("wrong"), PEER)
    assert Counted.tried == ["wrong", "wrong"]


async def test_without_a_password_all_are_admitted() -> None:
    assert await PasswordGate().admits("", PEER)


async def test_a_right_password_is_cached_for_ten_minutes_after_its_last_use(gate: PasswordGate) -> None:
    for _ in range(3):
        assert await gate.admits(basic("secret"), OTHER)
        Clock.now += 599
    assert Counted.tried == ["secret"]
    Clock.now += 2
    assert await gate.admits(basic("secret"), PEER)
    assert Counted.tried == ["secret", "secret"]


async def test_concurrent_attempts_with_the_same_password_share_a_hash(gate: PasswordGate) -> None:
    assert all(await asyncio.gather(*(gate.admits(basic("secret"), PEER) for _ in range(9))))
    assert Counted.tried == ["secret"]


class Held(PasswordHash):
    """A hash that records the order of its computations, and how many run at once."""

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
    """Return the results: True, False, or the class of the error."""
    results = await asyncio.gather(*tasks, return_exceptions=True)
    return [type(each) if isinstance(each, BaseException) else each for each in results]


async def test_hashes_are_computed_one_at_a_time_and_in_a_thread(held: PasswordGate) -> None:
    peers = [ip_address(f"198.51.100.{number}") for number in range(9)]
    assert not any(await asyncio.gather(*(held.admits(basic(f"wrong {peer}"), peer) for peer in peers)))
    assert Held.at_once == [1] * 9


async def test_an_address_with_many_attempts_delays_only_its_own(held: PasswordGate) -> None:
    """And few attempts of one address are queued."""
    trying = [_trying(held, f"wrong {number}") for number in range(20)]
    await asyncio.sleep(0)
    assert await held.admits(basic("secret"), OTHER)
    assert Held.order.index("secret") <= 2
    assert Counter(await _outcomes(trying)) == {False: 5, TooManyAttemptsError: 15}


async def test_an_ipv6_network_is_one_address(held: PasswordGate) -> None:
    trying = [_trying(held, f"wrong {number}", ip_address(f"2001:db8::{number:x}")) for number in range(20)]
    assert Counter(await _outcomes(trying)) == {False: 5, TooManyAttemptsError: 15}


async def test_the_right_password_is_admitted_among_wrong_ones_of_its_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Behind a proxy without X-Forwarded-For all clients have one address; a stranger locks none of them out."""
    monkeypatch.setattr("bley.web.password_gate._REST", 0.0)
    gate = PasswordGate(pause_seconds=3600)
    gate.set_password(cheap_hash("secret"))
    for number in range(10):
        wrong = _trying(gate, f"wrong {number}")
        await asyncio.sleep(0)
        gate._cache.clear()
        assert await gate.admits(basic("secret"), PEER)
        assert not wrong.done(), "a wrong password is answered after its pause"


async def test_pauses_make_room_for_other_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many addresses try, their pauses end early, and the right password is not refused."""
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
    assert not any(each.done() for each in late[:30]), "the newest pauses continue"


async def test_in_a_full_queue_the_address_with_the_most_attempts_loses_one(held: PasswordGate) -> None:
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


async def test_a_new_password_replaces_the_old_one(gate: PasswordGate) -> None:
    assert await gate.admits(basic("secret"), PEER)
    gate.set_password(cheap_hash("other"))
    assert not await gate.admits(basic("secret"), PEER)
    assert await gate.admits(basic("other"), PEER)


async def test_a_password_that_changes_during_an_attempt_is_not_admitted(gate: PasswordGate) -> None:
    trying = asyncio.create_task(gate.admits(basic("secret"), PEER))
    await asyncio.sleep(0)
    gate.set_password(cheap_hash("other"))
    assert not await trying
    assert not await gate.admits(basic("secret"), PEER)


async def test_the_proof_of_a_command_is_admitted(gate: PasswordGate) -> None:
    assert await gate.admits(f"Bearer {cheap_hash('secret').proof}", PEER)
    assert not await gate.admits(f"Bearer {cheap_hash('other').proof}", PEER)


async def test_wrong_passwords_are_logged_once_a_minute_with_their_number(
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
