"""After `kill -9` of bley, at any moment, every deferral that was answered is in the store."""

import itertools
import random
import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Semaphore

import pytest

from tests.integration.outages import GREYLISTED, Peer, stranger
from tests.integration.running_bley import WAIT_SECONDS, Bley
from tests.integration.stores import Servers

CONNECTIONS = 8

ROUNDS = {"sqlite": 20, "postgresql": 5, "mariadb": 5, "redis": 5}
"""More kills for SQLite, whose file bley itself writes."""

FEWEST, MOST = 10, 600
"""The deferrals that are answered before the kill."""


def deferred(port: int, name: str, enough: Semaphore) -> list[str]:
    """Send strangers, each as soon as the last one is answered; return the recipients of the deferred ones."""
    told: list[str] = []
    with suppress(OSError), Peer(port) as peer:
        for number in itertools.count():
            recipient = f"{name}n{number}@example.org"
            if peer.ask(stranger(recipient)).action == GREYLISTED:  # else the store was late
                told.append(recipient)
                enough.release()
    return told


@pytest.mark.parametrize("engine", ROUNDS)
def test_kill_9_loses_no_deferral_that_was_answered(servers: Servers, tmp_path: Path, engine: str) -> None:
    settings = {} if engine == "sqlite" else {"database": servers.new_url(engine)}
    bley, chance = Bley(tmp_path, **settings), random.Random(engine)
    told: set[str] = set()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for number in range(ROUNDS[engine]):
            bley.start()
            enough = Semaphore(0)
            asking = [pool.submit(deferred, bley.port, f"r{number}c{peer}", enough) for peer in range(CONNECTIONS)]
            for _ in range(chance.randint(FEWEST, MOST)):
                assert enough.acquire(timeout=WAIT_SECONDS)
            time.sleep(chance.uniform(0, 0.01))  # also between two answers
            bley.stop(signal.SIGKILL)
            told |= {recipient for future in asking for recipient in future.result()}
    stored = set(re.findall(r'"recipient": "([^"]+)"', bley.run("export")))
    print(f"kill -9 | {engine} | {ROUNDS[engine]} times | {len(told)} deferrals answered | {len(told - stored)} lost")
    assert len(told) >= FEWEST * ROUNDS[engine]
    assert told <= stored
