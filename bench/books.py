"""Check that a soak accounts for every request: answers, log lines, counts, decisions, records.

Everything is compared exactly. A request whose peer disconnected before the answer has one log line or none.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.mixed_mail import Asked
from bley.core.history.periods import PERIODS
from bley.core.history.search import DecisionQuery
from bley.core.mail import Request, Triplet, parse_address
from bley.core.names.host_kind import server_domain
from bley.core.triplet import TripletRules
from bley.core.wire import RequestParser, encode_request
from bley.ports import utc_now
from bley.settings.database import Database
from bley.store.opening import open_engine, open_history

__all__ = ["Books"]

Decided = tuple[str, str]
"""The action and reason of a request, in the words of the log, the store and the metrics."""

_FIELD = re.compile(r"(?:^|, )([a-z_]+)=([^, ]*)")
_LINE = re.compile(r"\]: (action=.*)")
_BAD = re.compile(r"internal error|Traceback|never retrieved|was never awaited")
_PORTION = 1000
_SHOWN = 5
_RULES = TripletRules()


class Books:
    """The log and the store after bley has ended; `faults` are the differences."""

    def __init__(self, log_files: list[Path], database: Database, asked: Asked) -> None:
        self._database, self._asked = database, asked
        self._log = [line for file in log_files for line in file.read_text(errors="replace").splitlines()]
        self._lines: dict[str, list[Decided]] = {}
        for fields in self._decisions():
            decided = fields["action"], fields.get("why", fields["reason"])
            self._lines.setdefault(fields.get("instance", ""), []).append(decided)
        self.figures: dict[str, int] = {}
        self.faults: list[str] = list(asked.faults[:_SHOWN])

    def _decisions(self) -> Iterator[dict[str, str]]:
        for line in self._log:
            if found := _LINE.search(line):
                yield dict(_FIELD.findall(found[1]))

    @property
    def decided(self) -> Counter[Decided]:
        """The decisions in the log."""
        return Counter(decided for of_one in self._lines.values() for decided in of_one)

    def count_lines(self, text: str) -> int:
        """Return the number of log lines that end with this text."""
        return sum(line.endswith(text) for line in self._log)

    async def check(self, metrics: Mapping[Decided, int], dropped: int) -> None:
        """Compare everything; `metrics` are bley_decisions_total, `dropped` the decisions that were only counted."""
        self._check_answers()
        self._check_log()
        self._compare("bley_decisions_total", Counter(dict(metrics)))
        self._compare("the store's counts", await self._counts())
        self.figures["decisions in the store"] = stored = await self._stored()
        if stored + dropped != (lines := self.decided.total()):
            self._fault(f"{stored} decisions in the store and {dropped} only counted, but {lines} lines in the log")
        await self._check_records()

    def _check_answers(self) -> None:
        asked = self._asked
        self.figures |= {
            "requests": len(asked.answered) + len(asked.given_up),
            "answers": sum(bool(answer) for _, answer in asked.answered.values()),
            "peers that did not wait": len(asked.given_up),
            "lines in the log": self.decided.total(),
        }
        for instance, (request, answer) in asked.answered.items():
            lines = self._lines.get(instance, [])
            if len(lines) != 1:
                self._fault(f"{len(lines)} lines in the log for {request}")
            elif answer and (lines[0][0] == "greylist") != answer.startswith(b"action=DEFER_IF_PERMIT"):
                self._fault(f"answered {answer!r}, but logged {lines[0]} for {request}")
        for instance, lines in self._lines.items():
            if instance in asked.given_up:
                if len(lines) > 1:
                    self._fault(f"{len(lines)} lines in the log for {asked.given_up[instance]}")
            elif instance and instance not in asked.answered:  # the request that waits for the start has none
                self._fault(f"{len(lines)} lines in the log for {instance!r}, which nobody asked")

    def _check_log(self) -> None:
        for line in self._log:
            if _BAD.search(line):
                self._fault(f"in the log: {line[:300]}")

    def _compare(self, what: str, counted: Counter[Decided]) -> None:
        self.figures[what] = counted.total()
        decided = self.decided
        for each in sorted(decided | counted):
            if decided[each] != counted[each]:
                self._fault(f"{what}: {counted[each]} of {each}, but {decided[each]} lines in the log")

    async def _counts(self) -> Counter[Decided]:
        history = open_history(self._database)
        counts = await history.counts(PERIODS["24h"], utc_now())
        await history.close()
        return Counter(
            {
                outcome: sum(number for count, number in counts.items() if (count.kind, count.name) == outcome)
                for outcome in {(count.kind, count.name) for count in counts}
                if outcome[0] in ("pass", "greylist", "would-defer")
            }
        )

    async def _stored(self) -> int:
        history, number, before = open_history(self._database), 0, ""
        while portion := await history.decisions(DecisionQuery(), _PORTION, before):
            number, before = number + len(portion), portion[-1].number
        await history.close()
        return number

    async def _check_records(self) -> None:
        """Check that each deferral has a record, under the client's domain or its network."""
        engine = open_engine(self._database)
        records = {triplet async for portion in engine.records() for triplet, _ in portion}
        await engine.close()
        deferred = [request for request, answer in self._asked.answered.values() if answer.startswith(b"action=DEFER")]
        self.figures |= {"deferrals": len(deferred), "records": len(records)}
        for request in deferred:
            if records.isdisjoint(_places(request)):
                self._fault(f"no record for {request}")

    def _fault(self, text: str) -> None:
        self.faults.append(text)


def _places(sent: Request) -> set[Triplet]:
    parser = RequestParser()
    parser.feed(encode_request(sent))  # a code in it is the byte that it stands for
    raw = parser.next_request()
    assert raw, "what was sent is a request"
    request = raw.parse()
    address = parse_address(request.client_address)
    assert address, "who has no address is not deferred"
    sender, recipient = _RULES.sender(request.sender), _RULES.recipient(request.recipient)
    clients = (_RULES.client(address, server_domain(request.verified_name, address)), _RULES.client(address, ""))
    return {Triplet(client, sender, recipient) for client in clients}
