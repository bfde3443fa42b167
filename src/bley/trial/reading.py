"""All that is given to a trial, as facts: mails by the header of the border server, sessions, and lines of logs."""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from bley.trial.border import Border, find_border
from bley.trial.client_names import ClientNames
from bley.trial.facts import HAM, Copies, Facts, border_hops, facts_of_mail
from bley.trial.lines import read_lines
from bley.trial.logs import Log, find_log
from bley.trial.mailboxes import NO_MAIL, Mail, MailFile, OpenedFile, find_files, read_mails
from bley.trial.problems import Problems
from bley.trial.received import Hop
from bley.trial.sessions import NO_SESSION, read_session

__all__ = ["Reader", "Source", "sample_border", "total_size"]

_SAMPLE_OF_FILE = 200
"""Mails of one file that the border is searched in."""
_SAMPLE = 5000
"""Mails of one path that it is searched in."""


_SPAM_FOLDER = re.compile(r"(.*/\.?(?:INBOX\.)?(?:junk|spam|bulk)(?:[ -]?e?-?mail)?)(?:\.mbox)?(?:/|$)", re.IGNORECASE)
_FOLDERS = 3
"""Folders of spam that are named."""

_PORTION = 200
"""Mails after which progress is shown."""
_BLOCK = 1 << 18
"""Bytes of small files after which it is shown."""


class Source(NamedTuple):
    """A path with the label of its mail, and paths below it that have another one."""

    path: Path
    label: str
    left_out: tuple[Path, ...] = ()


def total_size(sources: Sequence[Source]) -> int:
    """Return the bytes of all files."""
    return sum(file.size for source in sources for file in find_files(source.path, Problems(), source.left_out))


def sample_border(sources: Sequence[Source]) -> Border:
    """Return the border by a sample of the mails: of each path some thousands, of each file some hundreds."""
    sample: list[list[Hop]] = []
    for source in sources:
        mails = (
            mail
            for file in find_files(source.path, Problems(), source.left_out)
            for mail in islice(_mails(file), _SAMPLE_OF_FILE)
        )
        sample += [border_hops(mail) for mail in islice(mails, _SAMPLE)]
    return find_border(sample)


def _mails(file: MailFile) -> Iterator[Mail]:
    yield from read_mails(file, Problems())


class Reader:
    """Reads sources, and counts mails, those that are usable, and the problems of the others."""

    def __init__(
        self, border: Border, latest: int, advance: Callable[[int], None], stops: Callable[[], bool] = lambda: False
    ) -> None:
        self._border, self._latest, self._advance, self._stops = border, latest, advance, stops
        self._unshown = 0
        self.problems = Problems()
        self.files = Problems()
        """The problems of files and folders."""
        self.clients = ClientNames()
        self._copies = Copies()
        self.read = 0
        self.logged = 0
        """Of these, the requests in logs."""
        self.spam_folders: set[str] = set()
        """Folders that are named as those of spam, but counted as ham."""
        self.mails = 0
        """Of these, the mails in mailboxes."""

    def facts(self, source: Source) -> Iterator[Facts]:
        """Yield the usable facts of a source. Unusable mail is counted with its reason."""
        for file in find_files(source.path, self.files, source.left_out):
            if source.label == HAM and (folder := _SPAM_FOLDER.match(file.path)) and len(self.spam_folders) < _FOLDERS:
                self.spam_folders.add(folder[1])
            done = 0
            for item in read_mails(file, self.files, self._other(source.label)):
                self.read += 1
                facts, position = self._taken(item, source.label)
                if self.read % _PORTION == 0:
                    self._advance(min(position, file.size) - done)
                    done = min(position, file.size)
                if facts is not None:
                    self.clients.add(facts)
                    yield facts._replace(folder=_folder(file.path, facts.place))
                if self._stops():
                    return
            self._unshown += file.size - done
            if self._unshown >= _BLOCK:
                self._advance(self._unshown)
                self._unshown = 0

    def _taken(self, item: "Mail | _Item", label: str) -> "_Item":
        """Return the facts of a mail or line, and the bytes of the file up to its end."""
        if not isinstance(item, Mail):
            return item
        self.mails += 1
        return facts_of_mail(item, label, self._border, self._latest, self.problems, self._copies), item.end

    def _other(self, label: str) -> "Callable[[MailFile, OpenedFile, bytes], Iterator[_Item] | None]":
        def read_other(file: MailFile, opened: OpenedFile, start: bytes) -> Iterator[_Item] | None:
            if start.startswith(b"{"):
                return self._sessions(file, opened, start, label)
            log = find_log(file.path, start, label)
            return self._requests(file, opened, start, log) if log else None

        return read_other

    def _sessions(self, file: MailFile, opened: OpenedFile, start: bytes, label: str) -> "Iterator[_Item]":
        for number, line, position in read_lines(opened, start, file.size):
            place = f"{file.path}:{number}"
            facts = read_session(line, label, place, self._latest)
            if facts is None:
                self.problems.add(NO_SESSION, place)
            yield facts, position

    def _requests(self, file: MailFile, opened: OpenedFile, start: bytes, log: Log) -> "Iterator[_Item]":
        for number, line, position in read_lines(opened, start, file.size):
            place = f"{file.path}:{number}"
            for found in log.read(line, place, self._latest):
                if isinstance(found, str):
                    self.problems.add(found, place)
                    yield None, position
                else:
                    self.logged += 1
                    yield found._replace(server=f"log of {log.kind}"), position
        if not log.kind:
            self.files.add(NO_MAIL, file.path)


def _folder(path: str, place: str) -> str:
    """Return the mailbox of a mail, from its file and place: a folder of single mails, or a file of several."""
    if path != place:
        return path
    folder = path.rpartition("/")[0] or "."
    return folder.removesuffix("/cur").removesuffix("/new")


_Item = tuple[Facts | None, int]
"""The facts of a line, and the bytes of the file up to its end."""
