"""`bley try` on mailboxes made of labelled sessions gives each mail the judgement of `make efficacy` for its session.

The sessions are those of the file in the environment variable SESSIONS (as for `make efficacy`), else of
`../shared/data/sessions-dev.jsonl.gz`, else the 300 that every checkout has.
"""

import gzip
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import cycle, repeat
from pathlib import Path

import pytest
from bench.efficacy import Contact, first_contacts, judged

from bley.checks.helo import NO_IDENTITY
from bley.core.decision import Decision
from bley.core.reasons import Reason
from bley.core.scores import DEFAULT
from bley.settings.file import Configuration, load
from bley.trial.facts import HAM, Facts
from bley.trial.reading import Reader, Source, sample_border
from bley.trial.sessions import SESSION_FIELDS
from bley.trial.spool import Spool
from bley.trial.trial import Trial, run_now
from tests.written_mail import SERVERS, written_mail

TESTS = Path(__file__).parents[1]
_SHARED = TESTS.parents[1] / "shared" / "data" / "sessions-dev.jsonl.gz"
_SAMPLE = TESTS / "data" / "sessions.jsonl.gz"
FILE = Path(os.environ.get("SESSIONS") or (_SHARED if _SHARED.exists() else _SAMPLE))

LATEST = 2_000_000_000
BY_ITSELF = "[bley]\ngreylist_by = address\ncache_valid = 0\nauto_known = 0\nknown_pairs = 0\n"
"""Settings by which no mail is judged by mail of other triplets."""

OF_TRIPLET = {Reason.KNOWN, Reason.EARLY, Reason.WAITED}
OF_CLIENT = {Reason.CLIENT_GOOD, Reason.CLIENT_BAD, Reason.KNOWN_PAIR, Reason.KNOWN_CLIENT}
"""Reasons that rest on earlier mail, which `make efficacy` does not know: of the triplet, of the client."""

Session = Mapping[str, str]


@cache
def sessions() -> list[Session]:
    """Return all sessions; those of the sample get a date."""
    lines = map(json.loads, gzip.decompress(FILE.read_bytes()).splitlines())
    return [{"date": f"2026-10-{number % 28 + 1:02}T10:00:00+02:00"} | line for number, line in enumerate(lines)]


def _facts(session: Session) -> tuple[str, ...]:
    return tuple(session[name] for name in SESSION_FIELDS)


def _read(path: Path, servers: Iterable[str]) -> list[Facts]:
    """Return the facts of a mailbox with a mail for each session, written by one of the servers after the other."""
    with path.open("wb") as opened:
        for session, server in zip(sessions(), servers, strict=False):
            opened.write(b"From somebody@example.com Fri Nov  6 10:00:00 2026\n" + written_mail(session, server))
    source = Source(path, HAM)
    reader = Reader(sample_border([source]), LATEST, lambda _: None)
    facts = list(reader.facts(source))
    assert not reader.problems.counts
    return facts


@pytest.mark.parametrize("server", SERVERS)
def test_each_mail_has_the_facts_of_its_session(tmp_path: Path, server: str) -> None:
    """So any judgement by these facts is the same, in whatever header of a mail server they stand."""
    found = _read(tmp_path / "mbox", repeat(server))
    assert [_facts(facts.request._asdict()) for facts in found] == [_facts(session) for session in sessions()]


@pytest.fixture(scope="module")
def mails(tmp_path_factory: pytest.TempPathFactory) -> list[Facts]:
    """Return the facts of a mail for each session, of one server after the other."""
    return _read(tmp_path_factory.mktemp("mails") / "mbox", cycle(SERVERS))


@cache
def _contacts() -> Mapping[tuple[str, ...], Contact]:
    """Return each first contact, as `make efficacy` judges it, by its facts."""
    return {_facts(session): judged({"label": HAM} | session, DEFAULT) for session in first_contacts(FILE)}


def _decisions(facts: Sequence[Facts], configuration: Configuration) -> Iterator[Decision]:
    """Judge the mails as `bley try` does, in the order of time."""
    trial = Trial(configuration, NO_IDENTITY)
    with Spool() as spool:
        for each in facts:
            spool.add(each)
        for each in spool.in_order():
            yield run_now(trial.judge(each))


@pytest.mark.parametrize("text", [BY_ITSELF, "[bley]\n"], ids=["each triplet by itself", "default"])
def test_each_mail_has_the_judgement_of_make_efficacy(tmp_path: Path, mails: list[Facts], text: str) -> None:
    """A first contact has the same findings and reason, unless earlier mail of its triplet or client decides."""
    (tmp_path / "bley.conf").write_text(text)
    left, seen, compared = dict(_contacts()), set(), 0
    for decision in _decisions(mails, load(tmp_path / "bley.conf")):
        contact = left.pop(_facts(decision.request._asdict()), None)
        reason, (client, *envelope) = decision.reason, decision.triplet or ("", "", "")
        if reason in OF_TRIPLET:
            assert any((place, *envelope) in seen for place in (client, *decision.places))
        elif contact and not (text != BY_ITSELF and reason in OF_CLIENT):
            found = frozenset(finding.kind for finding in decision.evidence.values() if finding.kind)
            assert (found, reason if decision.defers else None) == (contact.facts, contact.reason)
            compared += 1
        seen.add(decision.triplet)
    assert not left, "each first contact was judged"
    assert compared > (0.95 if text == BY_ITSELF else 0.15) * len(_contacts())
