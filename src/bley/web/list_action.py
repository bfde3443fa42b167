"""The actions on list files: exempt mail, or end that, as `bley allow` does."""

import asyncio
from collections.abc import Mapping
from datetime import date, timedelta

from bley.core.exemptions.local_list import KINDS, Kind, LocalEntry
from bley.corrections.audit import Auditor
from bley.corrections.errors import CorrectionError, NotAuditedError
from bley.corrections.exemptions import (
    add_entries,
    audit_changes,
    check_entries,
    find_unresolved_names,
    preview_entry,
    preview_removal,
    remove_entries,
)
from bley.web.action_previews import Notice, Preview
from bley.web.dashboard_data import DashboardData
from bley.web.urls import page_url

__all__ = ["ENDS", "ListAction"]

_LONGEST_ENTRY = 400
"""Characters: a mail address has at most 254, and a search text as many as this."""
_LONGEST_COMMENT = 200

_RELOAD_SECONDS = 3.0
"""The wait for a reload, which takes 0.1 s, or with a million entries some seconds."""
_POLL_SECONDS = 0.05

ENDS = {"": "no end", "7": "7 days", "30": "30 days", "90": "90 days", "365": "365 days"}
"""How long an exemption lasts, by the days."""

_WHAT: Mapping[Kind, str] = {
    "client": "mail of client {}",
    "sender": "mail from sender {}",
    "recipient": "mail to recipient {}",
}


class ListAction:
    """Adds an entry to the list file of this kind, or removes it."""

    def __init__(self, data: DashboardData, values: Mapping[str, str], *, removes: bool) -> None:
        """Raises ValueError with a message for the user if the values of the form are invalid."""
        self._data, self._removes = data, removes
        kind, self._entry = values.get("kind", ""), values.get("entry", "").strip()
        if kind not in KINDS:
            raise ValueError(f"there is no list of kind {kind!r}: use one of {', '.join(KINDS)}")
        if not self._entry or len(self._entry) > _LONGEST_ENTRY:
            raise ValueError(f"an entry has 1 to {_LONGEST_ENTRY} characters")
        self._kind: Kind = next(each for each in KINDS if each == kind)
        self._until, self._comment = values.get("until", ""), values.get("comment", "").strip()
        number, q = values.get("decision", ""), values.get("q", "")
        self.path = "/act/disallow" if removes else "/act/allow"
        self.back = (
            f"/decision/{number}" if number else page_url("/search", {"q": q or self._entry.removeprefix("spf:")})
        )
        self.fields = {"kind": kind, "entry": self._entry, "decision": number, "q": q}

    async def preview(self) -> Preview:
        """Return what would happen. Raises CorrectionError, SettingsError."""
        return await (self._preview_removal() if self._removes else self._preview_entry())

    async def _preview_entry(self) -> Preview:
        configuration, today = self._data.configuration, self._data.clock().date()
        new = LocalEntry(self._entry, added=str(today))
        warnings = check_entries(configuration, [(self._kind, new)])
        warnings += await find_unresolved_names(configuration, [(self._kind, new)])
        change = await asyncio.to_thread(preview_entry, configuration, self._kind, new, today)
        what = _WHAT[self._kind].format(self._entry)
        if not change.is_real:
            return Preview(f"Never delay {what}", f"it is exempt already, by {change.file}", warnings=warnings)
        return Preview(
            f"Never delay {what}",
            f"{what} will never be delayed, whatever the checks find. This line goes to {change.file}",
            f"Never delay {self._entry}",
            self.command,
            new.line,
            warnings,
            asks_details=True,
        )

    async def _preview_removal(self) -> Preview:
        change = await asyncio.to_thread(preview_removal, self._data.configuration, self._kind, self._entry)
        what = _WHAT[self._kind].format(self._entry)
        return Preview(
            f"Judge {what} again",
            f"{what} will be judged like any other. This line leaves {change.file}",
            f"Remove {self._entry}",
            self.command,
            change.entry.line,
        )

    @property
    def command(self) -> str:
        """The command that does the same."""
        return self._command()

    def _command(self, until: date | None = None) -> str:
        words = ["--remove"] if self._removes else ["--until", str(until)] if until else []
        words += [f"--{self._kind}", *(["--"] if self._entry.startswith("-") else []), self._entry]
        return self._data.configuration.command("allow", *words)

    async def carry_out(self, auditor: Auditor) -> Notice:
        """Do it, and return what was done. Raises the errors of `preview`."""
        configuration, until = self._data.configuration, None
        if self._removes:
            changes = await asyncio.to_thread(remove_entries, configuration, [self._kind], [self._entry])
        else:
            new = self._new_entry()
            until = new.until
            check_entries(configuration, [(self._kind, new)])
            today = self._data.clock().date()
            changes = await asyncio.to_thread(add_entries, configuration, [(self._kind, new)], today)
        notices = [*map(str, changes)]
        try:
            await audit_changes(configuration, changes, auditor)
        except NotAuditedError as error:
            notices.append(str(error))
        if not await self._is_in_force():
            notices.append("bley has not reloaded yet: its log has the reason")
        is_alone = configuration.settings.store.dbtype == "sqlite3"
        return Notice("; ".join(notices), "" if is_alone else self._command(until))

    def _new_entry(self) -> LocalEntry:
        """Return the entry with its end and its comment. Raises CorrectionError."""
        today = self._data.clock().date()
        if self._until not in ENDS:
            raise CorrectionError("choose one of the ends")
        if len(self._comment) > _LONGEST_COMMENT or not self._comment.isprintable():
            raise CorrectionError(f"a comment is one line of at most {_LONGEST_COMMENT} printable characters")
        until = today + timedelta(days=int(self._until)) if self._until else None
        return LocalEntry(self._entry, until, str(today), self._comment)

    async def _is_in_force(self) -> bool:
        """Let bley read the list files, and return whether it has done so soon."""
        self._data.daemon.read_local_lists()
        end = asyncio.get_running_loop().time() + _RELOAD_SECONDS
        while self._data.configuration.local_lists.changes(self._data.clock().date()):
            if asyncio.get_running_loop().time() >= end:
                return False
            await asyncio.sleep(_POLL_SECONDS)
        return True
