"""The protocol between the supervisor and a worker, over a pair of sockets.

The supervisor sends commands and the worker replies in order; the first command is an Assignment. A message is
its length (4 bytes, big-endian), then a pickle: both ends run the same program as the same user.

    command        reply
    Assignment     Done once the worker listens, or Refused
    PrepareReload  Done once the new configuration is built, which changes nothing yet, or Refused
    Commit         Done once the prepared configuration is in force
    Discard        Done; the prepared configuration is dropped
    ReportState    StateReport

A worker sends HeloNames on its own, without a command: each sees a part of the strangers, and the supervisor adds them.

A reload has two phases, so that all workers switch or none does: the supervisor sends PrepareReload to all of them,
then Commit to all, or Discard to all if one of them refused.

The supervisor's end closes when the supervisor dies; then the workers stop.
"""

import asyncio
import pickle
import socket
from dataclasses import dataclass
from typing import Self

from bley.core.errors import BleyError, Fault
from bley.core.mail import Address
from bley.settings.file import Configuration
from bley.status import StateReport

__all__ = [
    "Assignment",
    "Channel",
    "Command",
    "Commit",
    "Discard",
    "Done",
    "HeloNames",
    "InvalidMessageError",
    "PrepareReload",
    "Refused",
    "Reply",
    "ReportState",
]

_LENGTH_BYTES = 4
_MOST_BYTES = 1 << 28
"""The size limit of a message. A configuration with a million list entries is smaller, and four ASCII letters, read as
a length, are larger: text that a library writes to the socket is detected."""


class InvalidMessageError(BleyError):
    """The bytes on the channel are not a message: something else was written to the socket."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """The first command: serve with this configuration and log level on the sockets of these descriptors."""

    configuration: Configuration
    level: int
    descriptors: tuple[int, ...]
    purges: bool
    """Whether the worker purges old records from the store; one worker does so for all."""


@dataclass(frozen=True, slots=True)
class PrepareReload:
    """First phase of a reload: build everything that this configuration needs."""

    configuration: Configuration


@dataclass(frozen=True, slots=True)
class Commit:
    """Second phase of a reload: switch to the prepared configuration."""


@dataclass(frozen=True, slots=True)
class Discard:
    """Second phase of a reload that was refused elsewhere: drop the prepared configuration."""


@dataclass(frozen=True, slots=True)
class ReportState:
    """Return the worker's StateReport."""


@dataclass(frozen=True, slots=True)
class HeloNames:
    """HELO names of strangers that came to a worker from a local address."""

    address: Address
    helo_names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """The command succeeded."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The command failed; the operator must correct these faults."""

    faults: tuple[Fault, ...]


Command = Assignment | PrepareReload | Commit | Discard | ReportState
Reply = Done | Refused | StateReport | HeloNames


class Channel:
    """One end of the channel."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, sock: socket.socket) -> Self:
        """Open one end on a connected socket, which `close` closes."""
        return cls(*await asyncio.open_unix_connection(sock=sock))

    def send(self, message: Command | Reply) -> None:
        """Send a message; it is dropped if the other end has closed."""
        data = pickle.dumps(message)
        if not self._writer.is_closing():
            self._writer.write(len(data).to_bytes(_LENGTH_BYTES) + data)

    async def receive(self) -> Command | Reply:
        """Receive the next message.

        Raises EOFError if the other end has closed, InvalidMessageError if the bytes are no message.
        """
        try:
            length = int.from_bytes(await self._reader.readexactly(_LENGTH_BYTES))
            if length > _MOST_BYTES:
                raise InvalidMessageError(f"a message of {length} bytes")
            data = await self._reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise EOFError("the other end has closed") from error
        try:
            message: Command | Reply = pickle.loads(data)
        except Exception as error:  # bytes that are no pickle may raise anything
            raise InvalidMessageError(f"not a message: {error!r}") from error
        return message

    async def close(self) -> None:
        """Flush the messages that were sent, then close."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            return  # the other end closed first
