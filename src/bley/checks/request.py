"""The checks of the request itself, which need no DNS."""

from collections.abc import Iterator

from bley.checks.dynamic import check_dynamic
from bley.checks.helo import OwnIdentity, check_helo, faults_of_helo
from bley.core.evidence import Finding, found
from bley.core.findings import AnyCheck, Check, FindingKind
from bley.core.mail import Address, Request
from bley.core.scores import DEFAULT, Scores

__all__ = ["check_request"]


def check_request(
    request: Request, address: Address, us: OwnIdentity | None = None, scores: Scores = DEFAULT
) -> dict[AnyCheck, Finding]:
    """Return the findings about the request. A finding of score 0 is left out, unless its check is always logged."""
    helo, name = check_helo(request, address), check_dynamic(request.verified_name, address)
    fits = helo.kind is not FindingKind.HELO_MISMATCH
    others = [*faults_of_helo(request, address, us or OwnIdentity(), fits=fits), *_missing_name(request)]
    is_no_server = any(finding.kind and finding.kind.row.is_about_client for finding in (helo, name, *others))
    own = _mail_to_oneself(request, counts_alone=is_no_server or scores.counts_mail_to_oneself_alone)
    always = {Check.HELO: helo, Check.DYNAMIC: name, Check.SENDER_IS_RECIPIENT: own}
    counting = {finding.kind.check: finding for finding in others if finding.kind and scores[finding.kind]}
    return {check: scores.counted(finding) for check, finding in (always | counting).items()}


def _missing_name(request: Request) -> Iterator[Finding]:
    if not request.verified_name:
        yield found(FindingKind.CLIENT_HAS_NO_NAME, "no name leads to its address and back")


def _mail_to_oneself(request: Request, *, counts_alone: bool) -> Finding:
    """Check whether sender and recipient are the same.

    People write to themselves. That is suspicious only if the client looks unlike a mail server, or SPF does not pass.
    """
    sender, recipient = (text.rstrip(".").casefold() for text in (request.sender, request.recipient))
    if not sender or sender != recipient:
        return Finding(0, "sender is another")
    return found(FindingKind.SENDER_IS_RECIPIENT, "sender is recipient")._replace(counts_alone=counts_alone)
