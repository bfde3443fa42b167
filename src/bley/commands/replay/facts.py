"""The facts about a request that are stored with its decision, in the form in which the checks return them.

Only answers of the DNS are read: those of lists, of SPF, and about the names of the client. The findings about the
request itself are computed again, since those that counted 0 then are not stored.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address
from typing import Any

from bley.checks.names import NOT_QUERIED, ClientNames
from bley.checks.queried_domains import queried_domains
from bley.core.dnslists.lists import Answer, DnsList, ListAnswer, Meaning
from bley.core.evidence import Finding, found
from bley.core.findings import Check, FindingKind
from bley.core.history.search import StoredDecision
from bley.core.mail import Request

__all__ = ["LISTS", "ListScore", "StoredFacts", "list_key", "read_answer"]

LISTS = (Check.DNSBL, Check.DOMAIN_LIST, Check.DNSWL)
"""The checks of DNS lists."""

_CODE = re.compile(r"(?<=[:,] )127\.\d{1,3}\.\d{1,3}\.\d{1,3}(?=[ ,])")
_LEADS = "leads to the client's address"
_NAMES = (FindingKind.CLIENT_HAS_NO_NAME, FindingKind.CLIENT_NAME_UNVERIFIED)
_SPF_KINDS = {"pass": None, "fail": FindingKind.SPF_FAIL, "softfail": FindingKind.SPF_FAIL}


def read_answer(text: str, name: str) -> Answer:
    """Return the answer that a list gave, from its description by `str(ListAnswer)`."""
    words = text.removeprefix(name)
    if words.startswith(" lists "):
        return Answer(Meaning.LISTED, tuple(map(_code, _CODE.findall(words))))
    if words.startswith(" does not list "):
        return Answer(Meaning.CLEAR)
    if words.startswith(" not queried: "):
        return Answer(Meaning.NOT_SERVED, why=words.removeprefix(" not queried: "))
    return Answer(Meaning.FAILED, why=words.removeprefix(" unknown: "))


def list_key(name: str, *, of_domains: bool) -> str:
    """Return the name of a list, marked if it is queried about domains: a zone may have addresses too."""
    return f"{name} (domains)" if of_domains else name


def _code(text: str) -> IPv4Address:
    return IPv4Address(".".join(str(min(int(octet), 255)) for octet in text.split(".")))


@dataclass(frozen=True, slots=True)
class ListScore:
    """The stored answers of lists, and the lists without one."""

    answers: Sequence[ListAnswer]
    missing: Sequence[DnsList]

    @property
    def score(self) -> int:
        """The sum of the weights of the answers."""
        return sum(each.weight for each in self.answers)

    def finding(self, more: int = 0) -> Finding:
        """Return the finding of the check; `more`: what missing lists count."""
        return Finding(self.score + more, "", tuple(self.answers))


@dataclass(frozen=True)
class StoredFacts:
    """The facts of one decision. `checks_names`: the names of clients are queried (setting `check_names`)."""

    decision: StoredDecision
    checks_names: bool

    @property
    def _findings(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.decision.details.get("findings", {})
        return found

    @cached_property
    def request(self) -> Request:
        """The request, with the client's name that bley verified, if the mail server found none."""
        stored = self.decision
        name = (self.checks_names and stored.details.get("verified_name")) or stored.client_name
        return Request(
            protocol_state="RCPT",
            client_address=stored.client_address,
            client_name=name,
            helo_name=stored.helo_name,
            sender=stored.sender,
            recipient=stored.recipient,
        )

    def own_name(self, hostname: str, node: str) -> str:
        """Return the host name of the node that decided: this machine's, one that the client claimed, or empty."""
        claim = self._findings.get(FindingKind.HELO_CLAIMS_US.value, {}).get("detail", "")
        if claim.endswith("our own name"):
            return self.decision.helo_name
        return hostname if self.decision.node in ("", node) else ""

    @property
    def lacks_names(self) -> bool:
        """Whether an allowlist decided before the names of a client without one were known."""
        return self.checks_names and not self.request.verified_name and Check.DYNAMIC.value not in self._findings

    @property
    def names(self) -> ClientNames:
        """The names of a client for which the mail server found none."""
        if not self.checks_names:
            return NOT_QUERIED
        if self.decision.details.get("verified_name"):
            return ClientNames(None, self._helo_names)
        if self.lacks_names:
            return ClientNames(Finding(None, "not needed"))
        stored = [(kind, self._findings[kind.value]) for kind in _NAMES if kind.value in self._findings]
        missing = NOT_QUERIED.missing
        for kind, finding in stored:
            missing = Finding(None, finding["detail"]) if finding["score"] is None else found(kind, finding["detail"])
        if missing == NOT_QUERIED.missing:
            return NOT_QUERIED
        return ClientNames(missing, self._helo_names)

    @property
    def _helo_names(self) -> Finding | None:
        """The finding that the HELO name leads to the client, or unknown."""
        finding = self._findings.get(Check.HELO.value, {"score": 0, "detail": ""})
        detail: str = finding["detail"]
        if finding["score"] is not None:
            return found(FindingKind.HELO_RESOLVES, detail) if detail.endswith(_LEADS) else None
        return None if detail.startswith("the client's name is unknown") else Finding(None, detail)

    def spf(self, *, counts: bool) -> Finding | None:
        """Return the result of SPF, of kind None if it does not count (`use_spf = 0`); None: not checked."""
        stored = self._findings.get(Check.SPF.value)
        if stored is None:
            return None
        score, detail = stored["score"], stored["detail"]
        if score is None:
            return Finding(None, detail)
        word = re.split(r"[^a-z]", detail, maxsplit=1)[0]
        kind = _SPF_KINDS.get(word, FindingKind.SPF_NO_PASS) if counts else None
        return found(kind, detail) if kind else Finding(0, detail)

    @cached_property
    def answers(self) -> Mapping[str, Answer]:
        """The answers of the lists, by `list_key`."""
        return {
            list_key(each["list"], of_domains=check is Check.DOMAIN_LIST): read_answer(each["is"], each["list"])
            for check in LISTS
            for each in self._findings.get(check.value, {}).get("lists", ())
        }

    def list_score(self, check: Check, lists: Iterable[DnsList]) -> ListScore:
        """Return what these lists answered. A request without a domain lacks no answer of a domain list."""
        lacks_nothing = self._findings.get(check.value, {}).get("score") == 0 and not self.answers
        lacks_nothing |= check is Check.DOMAIN_LIST and not queried_domains(self.request)
        answers, missing = [], []
        for each in lists:
            if answer := self.answers.get(list_key(each.name, of_domains=each.is_of_domains)):
                answers.append(ListAnswer(each, answer))
            elif not lacks_nothing:
                missing.append(each)
        return ListScore(answers, missing)
