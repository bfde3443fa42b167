"""The running bley: whether it answers, its version, and the gateways that hide clients from it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from bley import __version__
from bley.commands.doctor.finding import Finding, Level, fault, note, warning, well, worst
from bley.commands.policy_client import PolicyError, ask_at, connect
from bley.commands.web_client import WebError, fetch_page
from bley.core.endpoint import format_endpoint
from bley.core.mail import Request
from bley.daemon.start_check import RunningBley
from bley.server.occupants import find_occupants
from bley.server.postfix_access import find_socket_barrier
from bley.settings.file import Configuration

__all__ = ["RunningState", "examine_daemon", "find_places", "judge_state", "parse_state"]

_QUESTION = Request(client_address="127.0.0.1", recipient="doctor@localhost", protocol_state="CONNECT")
"""A request that is not about a recipient: bley answers DUNNO, and stores no record."""


_PASSED = ("unix:/var/spool/postfix/private/bley", "unix:/run/bley.sock")
"""The sockets of contrib/bley.socket and docs/exim.md, which the settings do not name."""


class RunningState(NamedTuple):
    """The state of the running bley, as its metrics reveal it."""

    version: str
    hidden_clients: int


def find_places(configuration: Configuration, running: RunningBley | None) -> tuple[str, ...]:
    """Return where bley listens: as it says itself, else at a socket of systemd's, else at `listen_addr`."""
    if running and running.file == configuration.resolved_file:
        return running.places
    settings = configuration.settings
    passed = [place for place in _PASSED if any(each.is_bley for each in find_occupants(place.removeprefix("unix:")))]
    return tuple(passed) or tuple(
        address if address.startswith("unix:") else format_endpoint(address, settings.listen_port)
        for address in settings.listen_addr
    )


def examine_daemon(configuration: Configuration, places: Sequence[str]) -> Iterator[Finding]:
    """Send a request to each place of the running bley, and read its metrics."""
    findings = [_ask(configuration, place) for place in places]
    yield from findings
    if worst(findings) is not Level.WELL:
        return
    try:
        state = parse_state(fetch_page(configuration, "/metrics").decode(errors="replace"))
    except (WebError, ValueError) as error:
        yield note("daemon", f"its version is not known: {error}")
        return
    yield from judge_state(state)


def _ask(configuration: Configuration, place: str) -> Finding:
    try:
        answer = ask_at(connect(place, configuration), _QUESTION)
    except PolicyError as error:
        if isinstance(error.__cause__, PermissionError):
            return warning("daemon", str(error), "whether bley answers is not known", "sudo bley doctor")
        why = "without an answer Postfix passes or defers all mail, by its default_action"
        return fault("daemon", str(error), why, "systemctl restart bley && journalctl -u bley -n 20")
    if not answer.startswith("action="):
        what = f"another program answers at {place}: {answer[:80]}"
        return fault("daemon", what, "Postfix gets an answer that it cannot use", "bley check-config")
    if place.startswith("unix:") and (barrier := find_socket_barrier(Path(place.removeprefix("unix:")))):
        why = "if Postfix queries bley there, it cannot connect, and applies default_action to all mail"
        return warning("daemon", barrier, why, "see docs/install.md, A unix socket")
    return well("daemon", f"bley answers at {place}")


def parse_state(metrics: str) -> RunningState:
    """Read the metrics. Raises ValueError if they are not of bley."""
    version, hidden = "", 0
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            if sample.name == "bley_build_info":
                version = sample.labels.get("version", "")
            elif sample.name == "bley_hidden_clients":
                hidden = int(sample.value)
    if not version:
        raise ValueError("web_listen belongs to another program: its metrics are not of bley")
    return RunningState(version, hidden)


def judge_state(state: RunningState) -> Iterator[Finding]:
    """Yield what the state of the running bley means."""
    if state.version == __version__:
        yield well("daemon", f"it runs version {__version__}, as this command")
    else:
        what = f"it runs version {state.version}, and this command is of {__version__}"
        yield warning("daemon", what, "the new version works only after a restart", "systemctl restart bley")
    if state.hidden_clients:
        what = f"a proxy or gateway hides the real clients behind {state.hidden_clients} addresses"
        why = "one spammer that retries makes all clients behind it known"
        yield warning("daemon", what, why, "see docs/install.md, Hidden clients")
