"""The policy client of bley's commands: where the running bley listens, and one request to it.

The settings do not always name the place: systemd may have passed another socket, and port 0 selects a free port. The
running bley then names it at `web_listen`.
"""

import json
import socket
from collections.abc import Iterator
from functools import partial

from bley.commands.web_client import WebError, fetch_page
from bley.core.endpoint import format_endpoint, split_endpoint
from bley.core.errors import BleyError
from bley.core.mail import Request
from bley.core.wire import encode_request
from bley.daemon.start_check import RunningBley
from bley.settings.file import Configuration

__all__ = ["PolicyError", "ask_at", "connect", "fetch_running", "find_running"]

_SECONDS_BEYOND_CHECKS = 5


class PolicyError(BleyError):
    """No bley answers; the message names the place, the cause and the remedy."""


def find_running(configuration: Configuration) -> socket.socket:
    """Connect to the first place at which the running bley listens. Raises PolicyError, about the first place."""
    failure: PolicyError | None = None
    tried: set[str] = set()
    for place in _candidates(configuration):
        if place in tried:
            continue
        tried.add(place)
        try:
            return connect(place, configuration)
        except PolicyError as error:
            failure = failure or error
    assert failure, "listen_addr has at least one address"
    raise failure


def _candidates(configuration: Configuration) -> Iterator[str]:
    settings = configuration.settings
    for address in settings.listen_addr:
        yield address if address.startswith("unix:") else format_endpoint(address, settings.listen_port)
    if running := fetch_running(configuration):
        yield from running.places


def fetch_running(configuration: Configuration) -> RunningBley | None:
    """Return the bley that answers at `web_listen`; None if none does."""
    try:
        match json.loads(fetch_page(configuration, "/listeners")):
            case {"file": str(file), "listeners": list(places)}:
                return RunningBley(file, tuple(map(str, places)))
    except (WebError, ValueError, RecursionError):
        pass
    return None


def connect(place: str, configuration: Configuration) -> socket.socket:
    """Connect to `unix:PATH`, or to `HOST:PORT` with `listen_port` as the default. Raises PolicyError."""
    settings = configuration.settings
    timeout = settings.check_timeout.total_seconds() + _SECONDS_BEYOND_CHECKS
    try:
        if not place.startswith("unix:"):
            endpoint = split_endpoint(place.removeprefix("inet:"), settings.listen_port)
            return socket.create_connection(endpoint, timeout)
        peer = socket.socket(socket.AF_UNIX)
        peer.settimeout(timeout)
        path = place.removeprefix("unix:")
        peer.connect("\0" + path[1:] if path.startswith("@") else path)
    except PermissionError as error:
        raise PolicyError(f"no answer from {place}: {error.strerror}; run this command as root") from error
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        remedy = "is bley running? If it listens elsewhere, name its socket: --at unix:PATH"
        raise PolicyError(f"no answer from {place}: {why}; {remedy}") from error
    return peer


def ask_at(peer: socket.socket, request: Request) -> str:
    """Send one request and return the answer, which ends with the connection. Raises PolicyError."""
    try:
        with peer:
            peer.sendall(encode_request(request))
            peer.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(partial(peer.recv, 4096), b"")).decode(errors="backslashreplace")
    except OSError as error:
        raise PolicyError(f"bley has not answered: {error.strerror or error}") from error
    if not answer:
        raise PolicyError("bley closed the connection without an answer: its log has the reason")
    return answer.strip()
