"""The cost of a request in function calls instead of seconds: these are the same on a busy machine."""

import asyncio
import sys
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

import pytest

from bley.checks.gather import Checks
from bley.coalescer import TICK_SECONDS
from bley.core.exemptions.list_files import read_clients, read_mail_addresses, read_senders
from bley.core.exemptions.lookup import ClientExemptions
from bley.core.mail import Request
from bley.core.wire import encode_request
from bley.server.connection import Connection
from bley.service.service import Service
from bley.settings.file import Configuration
from bley.settings.settings import Settings
from bley.store.memory import MemoryStore
from tests.fakes import FakeClock, FakeResolver

pytestmark = pytest.mark.leaps

REQUEST = Request(
    protocol_state="RCPT",
    client_address="192.0.2.1",
    client_name="mx.example.com",
    helo_name="mx.example.com",
    sender="a@example.com",
    recipient="b@example.org",
    instance="1f.2e",
)
DUNNO = b"action=DUNNO\n\n"

MARGIN = 1.2
"""A margin for other versions of Python."""

KNOWN_CALLS = 19
"""The calls of a known triplet from its bytes to its answer, measured with Python 3.11."""

TOLD_CALLS = 2
"""The calls for its log line, when some hundred are logged together."""

STRANGER_CALLS = 567
"""The calls of a stranger with a number in its name, without lists and SPF, with cache, log and store.

The relations of earlier mail take some 55 of them: four more keys to find, and a record of the pair.
"""


class Transport(asyncio.Transport):
    """A transport that stores the output."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return False

    def is_reading(self) -> bool:
        return True


FOLLOWED_CALLS = 2
"""The look-up of a stranger's address among those of names `dyn:`."""


class Host:
    closes_after_answer = False

    def __init__(self, clients: ClientExemptions) -> None:
        settings = Settings.model_validate({"cache_valid": "0"})
        configuration = Configuration(
            file=None,
            settings=settings,
            recipients=read_mail_addresses([("built-in", "postmaster@\nabuse@")]),
            clients=clients,
            senders=read_senders([]),
        )
        checks = Checks(FakeResolver(), [], [], None, settings.thresholds, settings.check_timeout)
        self.service: Any = Service(configuration, MemoryStore(), checks, FakeClock(), "mx.example.org")

    def add(self, connection: Connection) -> None: ...

    def remove(self, connection: Connection) -> None: ...


def _connected(clients: str = "") -> tuple[Connection, Transport]:
    connection, transport = Connection(Host(read_clients([("clients", clients)]))), Transport()
    connection.connection_made(transport)
    return connection, transport


class _Counted:
    """A counter of the calls inside, of Python's functions and of C's."""

    calls = 0

    def _count(self, _frame: object, event: str, _what: Any) -> None:
        self.calls += event in ("call", "c_call")

    def __enter__(self) -> "_Counted":
        sys.setprofile(self._count)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)


async def _settle(is_done: Callable[[], bool]) -> None:
    async with asyncio.timeout(3):
        while not is_done():  # noqa: ASYNC110 (there is no event)
            await asyncio.sleep(0)


async def _make_known(connection: Connection, transport: Transport) -> None:
    for count in range(1, 5):
        connection.data_received(encode_request(REQUEST))
        await _settle(lambda count=count: len(transport.written) == count)  # type: ignore[misc]
    await asyncio.sleep(2 * TICK_SECONDS)


async def test_a_known_triplet_costs_few_calls() -> None:
    connection, transport = _connected()
    await _make_known(connection, transport)
    data = encode_request(REQUEST)
    with _Counted() as counted:
        for _ in range(100):
            connection.data_received(data)
    assert transport.written[-100:] == 100 * [DUNNO]
    assert counted.calls / 100 <= KNOWN_CALLS * MARGIN


async def test_a_known_triplet_is_told_with_few_calls() -> None:
    connection, transport = _connected()
    await _make_known(connection, transport)
    for _ in range(1000):
        connection.data_received(encode_request(REQUEST))
    service: Any = connection._host.service
    service._store.add_known_decisions = lambda *_: None  # at most a thousand at once are stored
    service._rules.log._write = lambda _: None  # otherwise logging does it, if no log is configured
    with _Counted() as counted:
        service._known.flush()
    assert counted.calls / 1000 <= TOLD_CALLS * MARGIN


async def test_a_stranger_costs_no_more_calls_than_before() -> None:
    connection, transport = _connected()
    await _make_known(connection, transport)
    assert await _calls_of_a_stranger(connection, transport) <= STRANGER_CALLS * MARGIN


async def test_followed_names_cost_a_stranger_one_look_up() -> None:
    """Whatever their number."""
    calls = []
    for followed in (0, 0, 1, 100):  # at first, some caches are cold
        names = [f"h{number}.example.org" for number in range(followed)]
        connection, transport = _connected("\n".join(f"dyn:{name}" for name in names))
        clients = connection._host.service._rules.configuration.clients  # type: ignore[attr-defined]
        clients.exempt_resolved({name: [ip_address(f"203.0.113.{place}")] for place, name in enumerate(names)})
        await _make_known(connection, transport)
        calls.append(await _calls_of_a_stranger(connection, transport))
    _, without, *others = calls
    assert [round(each - without) for each in others] == [FOLLOWED_CALLS] * 2  # some wait a moment longer


async def _calls_of_a_stranger(connection: Connection, transport: Transport) -> float:
    strangers = []
    for number in range(100):
        name = f"mail.h{7_654_321 + number}.example.net"  # a long number could be an address
        described = REQUEST._replace(client_address=f"198.51.100.{number}", client_name=name, helo_name=name)
        strangers.append(encode_request(described._replace(sender=f"s{number}x@s{number}.example")))
    with _Counted() as counted:
        for stranger in strangers:
            before = len(transport.written)
            connection.data_received(stranger)
            while len(transport.written) == before:  # noqa: ASYNC110 (there is no event)
                await asyncio.sleep(0)
    assert transport.written[-100:] == 100 * [DUNNO]
    return counted.calls / 100
