"""The running bley: whether it answers, its version, and the gateways that hide clients from it."""

from collections.abc import Iterator
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from bley import __version__
from bley.commands.doctor.finding import Finding, fault, note, warning, well
from bley.commands.policy_client import PolicyError, ask_at, find_running
from bley.commands.web_client import WebError, fetch_page
from bley.core.mail import Request
from bley.settings.file import Configuration

__all__ = ["RunningState", "examine_daemon", "judge_state", "parse_state"]

_QUESTION = Request(client_address="127.0.0.1", recipient="doctor@localhost", protocol_state="CONNECT")
"""A request that is not about a recipient: bley answers DUNNO, and stores no record."""


class RunningState(NamedTuple):
    """The state of the running bley, as its metrics reveal it."""

    version: str
    hidden_clients: int


def examine_daemon(configuration: Configuration) -> Iterator[Finding]:
    """Send a request to the running bley, and read its metrics."""
    try:
        answer = ask_at(find_running(configuration), _QUESTION)
    except PolicyError as error:
        why = "without an answer Postfix passes or defers all mail, by its default_action"
        yield fault("daemon", str(error), why, "systemctl restart bley && journalctl -u bley -n 20")
        return
    if not answer.startswith("action="):
        why = "Postfix gets an answer that it cannot use"
        yield fault("daemon", f"another program answers: {answer[:80]}", why, "bley check-config")
        return
    yield well("daemon", "bley answers requests")
    try:
        state = parse_state(fetch_page(configuration, "/metrics").decode(errors="replace"))
    except (WebError, ValueError) as error:
        yield note("daemon", f"its version is not known: {error}")
        return
    yield from judge_state(state)


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
