"""What a supervisor and its workers say to each other, over a pair of sockets.

The supervisor asks, the worker answers each question in order; the first one is an Assignment. A message is a pickle
behind its length (4 bytes, big-endian): both ends are of one program and one user.

    Assignment     once it listens: Done, or Refused when it cannot work so
    Reload         Done when all of it is built, which changes nothing; or Refused
    Commit         Done: it answers by what was built
    Discard        Done: it goes on as before
    ReportState    StateReport

A reload is in two phases, so that either all workers take it or none does: Reload to all of them, then Commit to all,
or Discard to all where one has refused.

The supervisor's end closes when it dies, which tells its workers to stop.
"""

import asyncio
import pickle
import socket
from dataclasses import dataclass
from typing import Self

from bley.core.errors import BleyError, Fault
from bley.settings.file import Configuration
from bley.status import StateReport

__all__ = [
    "Answer",
    "Assignment",
    "Channel",
    "Commit",
    "Discard",
    "Done",
    "GarbledError",
    "Question",
    "Refused",
    "Reload",
    "ReportState",
]

_LENGTH_BYTES = 4
_MOST_BYTES = 1 << 28
"""Of a message. A configuration with a million list entries has less; four letters, taken for a length, are more."""


class GarbledError(BleyError):
    """What came is no message: something else was written to the socket."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """Answer by this configuration at the sockets of these descriptors; `level` is the log's."""

    configuration: Configuration
    level: int
    descriptors: tuple[int, ...]
    purges: bool
    """Whether it forgets old records in the store, which one worker does for all."""


@dataclass(frozen=True, slots=True)
class Reload:
    """Prepare to answer by this configuration."""

    configuration: Configuration


@dataclass(frozen=True, slots=True)
class Commit:
    """Answer by what was prepared, from now on."""


@dataclass(frozen=True, slots=True)
class Discard:
    """Go on as before: what was prepared is not wanted."""


@dataclass(frozen=True, slots=True)
class ReportState:
    """Tell how you do."""


@dataclass(frozen=True, slots=True)
class Done:
    """It is so now."""


@dataclass(frozen=True, slots=True)
class Refused:
    """It cannot be, because of what the operator must mend."""

    faults: tuple[Fault, ...]


Question = Assignment | Reload | Commit | Discard | ReportState
Answer = Done | Refused | StateReport


class Channel:
    """One end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, sock: socket.socket) -> Self:
        """On one of a pair of connected sockets, which it closes at its end."""
        return cls(*await asyncio.open_unix_connection(sock=sock))

    def send(self, message: Question | Answer) -> None:
        """Say something; an end that has gone does not hear it."""
        data = pickle.dumps(message)
        if not self._writer.is_closing():
            self._writer.write(len(data).to_bytes(_LENGTH_BYTES) + data)

    async def receive(self) -> Question | Answer:
        """What the other end says next. Raises EOFError when it has gone, GarbledError when it is no message."""
        try:
            length = int.from_bytes(await self._reader.readexactly(_LENGTH_BYTES))
            if length > _MOST_BYTES:
                raise GarbledError(f"a message of {length} bytes")
            data = await self._reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise EOFError("the other end has gone") from error
        try:
            message: Question | Answer = pickle.loads(data)
        except Exception as error:  # what is no pickle may raise anything
            raise GarbledError(f"no message: {error!r}") from error
        return message

    async def close(self) -> None:
        """Say what is still to be said, and go."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            return  # the other end was faster
