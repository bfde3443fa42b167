"""`bley explain`: every step of the decision about one request, in words, without storing anything."""

import socket
from dataclasses import replace

from bley.actions import Actions
from bley.checks.gather import Checks
from bley.config_file import Configuration
from bley.core.decision import Decision
from bley.core.errors import StoreError
from bley.core.evidence import ALWAYS_TOLD, RFC_CHECKS, Check, Evidence, Finding
from bley.core.greylist import Record, Status
from bley.core.mail import Request, parse_address
from bley.core.policy import Reason, rfc_sum
from bley.database import Database
from bley.ports import Clock, Store
from bley.service import Service
from bley.store.batched import BatchedStore
from bley.store.memory import MemoryStore
from bley.store.opening import open_engine

__all__ = ["explain"]

Step = tuple[str, str]
"""What the step is called, and what came of it."""


async def explain(configuration: Configuration, checks: Checks, clock: Clock, request: Request) -> list[Step]:
    """Decide as the daemon would that has just started, and tell each step.

    What the running daemon has in memory, clients judged within `cache_valid`, is not known here.
    """
    settings, checks = configuration.settings, replace(checks, is_thorough=True)
    place = settings.store
    store = _look_into(place)
    hostname = socket.gethostname()
    service = Service(configuration, store, checks, clock, hostname)
    service.finds_any = True
    steps = [("request", _request(request))]
    try:
        decision = await service.decide(request)
        decision = decision._replace(evidence=await _with_words(decision, checks))
    except StoreError as error:
        return [*steps, ("store", str(error)), ("verdict", f"{settings.on_store_error}, by on_store_error")]
    finally:
        await store.close()
    action = Actions(settings, hostname).action(decision, clock())
    return [
        *steps,
        *_triplet(decision, place),
        *_findings(decision, configuration),
        ("verdict", _verdict(decision)),
        ("answer", f"action={action}"),
    ]


async def _with_words(decision: Decision, checks: Checks) -> Evidence:
    """The evidence with the DNS lists' own words why they name the client."""
    address = parse_address(decision.request.client_address)
    return await checks.explain(decision.evidence, address) if address else decision.evidence


def _look_into(place: Database) -> Store:
    """The daemon's store, to be read only; an empty one while there is none."""
    if place.dbtype == "sqlite3" and not place.file.exists():
        return MemoryStore()
    return BatchedStore(open_engine(place, read_only=True))


def _request(request: Request) -> str:
    client = f"{request.client_name or 'no client_name'} [{request.client_address}]"
    return f"{client}, HELO {request.helo_name or '(none)'}, from <{request.sender}> to <{request.recipient}>"


def _triplet(decision: Decision, place: Database) -> list[Step]:
    if decision.triplet is None:
        return []
    triplet = decision.triplet
    steps = [("triplet", f"client {triplet.client}, sender <{triplet.sender}>, recipient <{triplet.recipient}>")]
    if decision.standing is not None:
        steps.append(("store", f"{place}: {_record(decision.record)}"))
        steps.append(("standing", decision.standing.value))
    return steps


def _record(record: Record | None) -> str:
    if record is None:
        return "no record"
    text = f"{record.status.name.lower()}, first seen {record.first_seen:%Y-%m-%d %H:%M:%S} UTC"
    text += f", last seen {record.last_seen:%Y-%m-%d %H:%M:%S} UTC"
    return text + (f", {record.attempts} early retries" if record.status is Status.GREYLISTED else "")


def _findings(decision: Decision, configuration: Configuration) -> list[Step]:
    evidence = decision.evidence
    if not evidence:
        return []
    steps = []
    for check in ALWAYS_TOLD:
        if finding := evidence.get(check):
            first, *others = _words(finding)
            steps.append((check.value, f"{finding}  {first}"))
            steps += [("", f"   {line}") for line in others]
        else:
            steps.append((check.value, f"-  not asked: {_why_not(check, configuration)}"))
    thresholds = configuration.settings.thresholds
    limits = f"dnswl {thresholds.dnswl_threshold}, dnsbl {thresholds.dnsbl_threshold}, sum {thresholds.rfc_threshold}"
    return [*steps, *_others(evidence), ("sum", _sum(evidence)), ("thresholds", limits)]


def _others(evidence: Evidence) -> list[Step]:
    """The findings that are told by their names, and those of them that there are not."""
    others = [check for check in RFC_CHECKS if check not in ALWAYS_TOLD]
    lines = [f"{evidence[check]}  {check}: {evidence[check].detail}" for check in others if check in evidence]
    if missing := [check for check in others if check not in evidence]:
        lines.append(f"0  {', '.join(missing)}")
    return [("" if number else "others", line) for number, line in enumerate(lines)]


def _sum(evidence: Evidence) -> str:
    """What counts against `rfc_threshold`, and whether a mail to oneself does."""
    total, own = rfc_sum(evidence), evidence.get(Check.SENDER_IS_RECIPIENT)
    text = f"{total}  of all but dnsbl and dnswl"
    if own and total == rfc_sum({**evidence, Check.SENDER_IS_RECIPIENT: own._replace(score=0)}) and own.score:
        text += "; s_eq_r counts only beside a fact about the client, or where SPF does not pass"
    return text


def _words(finding: Finding) -> list[str]:
    """A line for each list, and one for what it says of the client; of other checks one line."""
    lines = []
    for each in finding.answers:
        lines.append(str(each))
        if each.text:
            lines.append(f"  it says: {each.text}")
    return lines or [finding.detail]


def _why_not(check: Check, configuration: Configuration) -> str:
    settings = configuration.settings
    is_off = {Check.DNSWL: not settings.dnswls, Check.DNSBL: not settings.dnsbls, Check.SPF: not settings.use_spf}
    return "it is off" if is_off.get(check) else "it could not change the verdict"


def _verdict(decision: Decision) -> str:
    verdict = f"{'defer' if decision.defers else 'pass'}, reason {decision.reason.value}"
    if decision.exempted_by:
        verdict += f" ({decision.exempted_by})"
    if decision.wait is not None:
        verdict += f"; a retry passes after {decision.wait.total_seconds():.0f} s"
    if decision.reason is Reason.WAITED and decision.delayed is not None:
        verdict += f"; delayed for {decision.delayed.total_seconds():.0f} s"
    return verdict
