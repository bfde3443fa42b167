"""The actions on records: let the mail of a decision or of a search pass, or forget it, as `bley pass` and `forget`.

A form shows the records of its time. Records that were created later stay unchanged.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal

from aiohttp import web

from bley.core.greylist import Record, Status
from bley.core.history.record_filter import NULL_SENDER, RecordFilter
from bley.core.history.record_query import RecordQuery
from bley.core.history.search import StoredDecision
from bley.core.mail import Triplet
from bley.core.quantity import quantity
from bley.corrections.audit import Auditor
from bley.corrections.errors import CorrectionError
from bley.corrections.opened_engine import opened_engine
from bley.corrections.records import forget_records, release_records, select_release
from bley.store.history import SEARCH_SECONDS, PartialResult
from bley.web.action_previews import Notice, Preview
from bley.web.dashboard_data import DashboardData
from bley.web.decision_search import read_decision_search
from bley.web.urls import page_url

__all__ = ["RecordAction"]

_MOST = 1000
"""Records of one action, some 0.8 MB; those of more mail are for the command, which shows its progress."""
_FEW = 10
"""As many records of one mail as `bley pass` releases without --yes."""
_NAMED = 3
"""Triplets that the audit names."""

_Kind = Literal["pass", "forget"]
_Records = Sequence[tuple[Triplet, Record]]


class RecordAction:
    """Lets waiting records pass, or forgets records: those of the decision `decision`, or those that match `q`."""

    def __init__(self, data: DashboardData, kind: _Kind, values: Mapping[str, str]) -> None:
        """Raises ValueError with a message for the user if the values of the form are invalid."""
        self._data, self._kind = data, kind
        self._search = read_decision_search({"q": values.get("q", "")})
        self._number, self._q = values.get("decision", ""), self._search.q
        if bool(self._number) == bool(self._q):
            raise ValueError("name a decision or a search")
        as_of = values.get("as_of") or data.clock().isoformat()
        self._as_of = datetime.fromisoformat(as_of).astimezone(UTC)
        self.path = f"/act/{kind}"
        self.back = f"/decision/{self._number}" if self._number else page_url("/search", {"q": self._q})
        self.command = ""
        self.fields = {"decision": self._number, "q": self._q, "as_of": as_of}

    async def preview(self) -> Preview:
        """Return what would happen. Raises CorrectionError, SettingsError, StoreError, HTTPNotFound."""
        decision, found = await self._select()
        affected = [each for each in found if self._kind == "forget" or each[1].status is Status.GREYLISTED]
        number = quantity(len(affected), "record")
        if self._kind == "pass":
            title, button = "Let this mail pass", f"Let {number} pass"
            verb = "passes" if len(affected) == 1 else "pass"
            sentence = f"{number} {verb} at the next attempt, on all nodes"
            warns = len(affected) > _FEW
        else:
            title, button = "Forget this mail", f"Forget {number}"
            sentence = f"{number} will be deleted, on all nodes within 20 seconds: then the mail is that of a stranger"
            warns = False
        return Preview(
            title,
            sentence if affected else self._without_records(found),
            button if affected else "",
            self._command_of(decision),
            warnings=["Most mail that waits for many senders or recipients is spam"] if warns else (),
            records=affected,
        )

    def _without_records(self, found: _Records) -> str:
        if self._kind == "pass" and found:
            return f"no record waits: {quantity(len(found), 'record passes', 'records pass')} already"
        return "there is no such record: it has expired, was forgotten, or is newer than this form"

    async def carry_out(self, auditor: Auditor) -> Notice:
        """Do it, and return what was done. Raises the errors of `preview`."""
        _, found = await self._select()
        configuration, now = self._data.configuration, self._data.clock()
        async with opened_engine(configuration, now) as engine:

            async def audit(done: str) -> None:
                await auditor.record(engine, self._kind, f"{done}: {_in_words([triplet for triplet, _ in changed])}")

            if self._kind == "forget":
                changed = found
                await forget_records(engine, [triplet for triplet, _ in changed], audit)
                return Notice(f"{quantity(len(changed), 'record')} forgotten; every node notices within 20 seconds")
            selection = select_release(found, RecordFilter(), configuration.triplet_rules, now)
            changed = selection.released
            await release_records(engine, configuration, selection, now, audit)
            return Notice(selection.describe() if changed else self._without_records(found))

    async def _select(self) -> tuple[StoredDecision | None, _Records]:
        """Return the decision, and the records that existed at the time of the form. Raises CorrectionError."""
        decision = await self._decision() if self._number else None
        if decision and self._kind == "forget":
            found: _Records = list((await self._data.stored_records(decision)).items())
        else:
            found = await self._data.select_records(self._query(decision), _MOST + 1)
        if isinstance(found, PartialResult):
            raise CorrectionError(f"the search for the records did not end within {SEARCH_SECONDS:g} s: narrow it")
        if len(found) > _MOST:
            raise CorrectionError(f"more than {_MOST:,} records match: narrow the search, or use the command")
        return decision, [each for each in found if each[1].first_seen <= self._as_of]

    async def _decision(self) -> StoredDecision:
        decision = await self._data.decision(self._number)
        if decision is None or decision.triplet is None:
            raise web.HTTPNotFound(text="There is no such decision with a triplet, or it was removed after log_days.\n")
        return decision

    def _query(self, decision: StoredDecision | None) -> RecordQuery:
        if decision and decision.triplet:
            _, sender, recipient = decision.triplet
            return RecordQuery(filters=[RecordFilter(None, sender or NULL_SENDER, recipient)])
        return RecordQuery(self._search.text_search(self._data.configuration.triplet_rules))

    def _command_of(self, decision: StoredDecision | None) -> str:
        """Return the command that does the same; empty for a search, which may match in each column."""
        if decision is None or decision.triplet is None:
            return ""
        client, sender, recipient = decision.triplet
        words = ["--sender", sender or NULL_SENDER, "--recipient", recipient]
        if self._kind == "forget":
            words = ["--client", client, *words]
        return self._data.configuration.command(self._kind, *words)


def _in_words(triplets: Sequence[Triplet]) -> str:
    shown = [
        f"client {client}, sender {sender or NULL_SENDER}, recipient {recipient}"
        for client, sender, recipient in triplets[:_NAMED]
    ]
    return "; ".join([*shown, *([f"and {len(triplets) - _NAMED:,} more"] if len(triplets) > _NAMED else [])])
