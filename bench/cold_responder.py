"""The least a Python server needs for strangers with a durable record: uvloop, split lines, one SQLite thread.

    python bench/cold_responder.py PORT FILE

The thread looks up and inserts all requests that wait in one transaction (WAL, synchronous NORMAL, as bley's), and they
are answered after its end. There are no checks, log, counts or decisions.
"""

import asyncio
import json
import sqlite3
import sys
from queue import SimpleQueue
from threading import Thread
from typing import cast

import uvloop

Key = tuple[str, str, str]
Waiting = tuple[Key, asyncio.Transport]

_KNOWN = b"action=DUNNO\n\n"
_STRANGER = b"action=DEFER_IF_PERMIT greylisted\n\n"
_END = b"\n\n"
_CREATE = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE records (client TEXT, sender TEXT, recipient TEXT, PRIMARY KEY (client, sender, recipient)) WITHOUT ROWID;
"""
_KEYS = "SELECT value ->> 0 AS client, value ->> 1 AS sender, value ->> 2 AS recipient FROM json_each(?)"
_FIND = f"SELECT client, sender, recipient FROM ({_KEYS}) JOIN records USING (client, sender, recipient)"
_INSERT = f"INSERT OR IGNORE INTO records {_KEYS}"


class _Records(Thread):
    """The store."""

    def __init__(self, file: str, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(daemon=True)
        self._file, self._loop = file, loop
        self.waiting: SimpleQueue[Waiting] = SimpleQueue()

    def run(self) -> None:
        database = sqlite3.connect(self._file, isolation_level=None)
        database.executescript(_CREATE)
        while True:
            batch = [self.waiting.get()]
            while not self.waiting.empty():
                batch.append(self.waiting.get())
            keys = json.dumps([key for key, _ in batch])
            database.execute("BEGIN IMMEDIATE")
            known = set(database.execute(_FIND, (keys,)))
            database.execute(_INSERT, (keys,))
            database.execute("COMMIT")
            self._loop.call_soon_threadsafe(_answer, batch, known)


def _answer(batch: list[Waiting], known: set[Key]) -> None:
    for key, transport in batch:
        transport.write(_KNOWN if key in known else _STRANGER)


class _Responder(asyncio.Protocol):
    def __init__(self, waiting: SimpleQueue[Waiting]) -> None:
        self._waiting = waiting
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        *whole, self._rest = (self._rest + data).split(_END)
        for request in whole:
            values = dict(line.split("=", 1) for line in request.decode().split("\n"))
            key = values["client_address"], values["sender"], values["recipient"]
            self._waiting.put((key, self._transport))


async def _serve(port: int, file: str) -> None:
    loop = asyncio.get_running_loop()
    records = _Records(file, loop)
    records.start()
    server = await loop.create_server(lambda: _Responder(records.waiting), "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1]), sys.argv[2]))
