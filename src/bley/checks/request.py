"""The checks of the request itself. The names that the DNS has for the client are passed in."""

from collections.abc import Iterator

from bley.checks.dynamic import check_dynamic
from bley.checks.helo import OwnIdentity, check_dynamic_helo, check_helo, faults_of_mismatch
from bley.checks.names import NOT_QUERIED, ClientNames
from bley.core.evidence import Finding, found
from bley.core.findings import AnyCheck, Check, FindingKind
from bley.core.mail import Address, Request
from bley.core.scores import DEFAULT, Scores

__all__ = ["check_request"]

_NO_IDENTITY = OwnIdentity()
_OTHER_SENDER = Finding(0, "sender is another")
_ABOUT_CLIENT = frozenset(kind for kind in FindingKind if kind.row.is_about_client)


def check_request(
    request: Request,
    address: Address,
    us: OwnIdentity = _NO_IDENTITY,
    scores: Scores = DEFAULT,
    names: ClientNames = NOT_QUERIED,
) -> dict[AnyCheck, Finding]:
    """Return the findings about the request. A finding of score 0 is left out, unless its check is always logged.

    `names` are those of a client without a verified name. A finding that depends on a name which the DNS did not give
    is unknown.
    """
    missing = None if request.verified_name else names.missing
    helo, name = check_helo(request, address, names), check_dynamic(request.verified_name, address)
    if missing and missing.score is None:
        name = missing
    faults = _faults_of_helo(request, address, us, helo)
    counting: dict[AnyCheck, Finding] = {kind: fault for kind, fault in faults if scores[kind]}
    if missing and (names is not NOT_QUERIED or scores[FindingKind.CLIENT_HAS_NO_NAME]):
        counting[missing.kind or FindingKind.CLIENT_HAS_NO_NAME] = missing
    is_no_server = not _ABOUT_CLIENT.isdisjoint((helo.kind, name.kind, missing and missing.kind))
    own = _mail_to_oneself(request, counts_alone=is_no_server or scores.counts_mail_to_oneself_alone)
    always = {Check.HELO: helo, Check.DYNAMIC: name, Check.SENDER_IS_RECIPIENT: own}
    findings = always | counting
    return {check: scores.counted(each) if each.kind else each for check, each in findings.items()}


def _faults_of_helo(
    request: Request, address: Address, us: OwnIdentity, helo: Finding
) -> Iterator[tuple[FindingKind, Finding]]:
    """Yield the faults of the HELO name. If it is unknown whether it matches, those of a mismatch are unknown."""
    if line := check_dynamic_helo(request, address):
        yield FindingKind.HELO_LOOKS_DYNAMIC, line
    if helo.score is None or helo.kind is FindingKind.HELO_MISMATCH:
        for kind, detail in faults_of_mismatch(request, us):
            yield kind, found(kind, detail) if helo.kind else Finding(None, detail)


def _mail_to_oneself(request: Request, *, counts_alone: bool) -> Finding:
    """Check whether sender and recipient are the same.

    People write to themselves. That is suspicious only if the client looks unlike a mail server, or SPF does not pass.
    """
    sender, recipient = request.sender.rstrip(".").casefold(), request.recipient.rstrip(".").casefold()
    if not sender or sender != recipient:
        return _OTHER_SENDER
    return found(FindingKind.SENDER_IS_RECIPIENT, "sender is recipient")._replace(counts_alone=counts_alone)
