"""The checks of the request itself. The names that the DNS has for the client are passed in."""

from bley.checks.dynamic import check_dynamic
from bley.checks.helo import NO_IDENTITY, OwnIdentity, check_dynamic_helo, check_helo, faults_of_mismatch
from bley.checks.names import NOT_QUERIED, ClientNames
from bley.checks.own_name import faults_of_own_name
from bley.checks.sender import check_mail_to_oneself, check_service
from bley.core.evidence import Finding, found
from bley.core.findings import AnyCheck, Check, FindingKind
from bley.core.mail import Address, Request
from bley.core.scores import DEFAULT, Scores

__all__ = ["check_request"]

_ABOUT_CLIENT = frozenset(kind for kind in FindingKind if kind.row.is_about_client)


def check_request(
    request: Request,
    address: Address,
    us: OwnIdentity = NO_IDENTITY,
    scores: Scores = DEFAULT,
    names: ClientNames = NOT_QUERIED,
) -> dict[AnyCheck, Finding]:
    """Return the findings about the request. A finding of score 0 is left out, unless its check is always logged.

    `names` are those of a client without a verified name. A finding that depends on a name which the DNS did not give
    is unknown.
    """
    verified_name = request.verified_name
    missing = None if verified_name else names.missing
    helo, name = check_helo(request, address, names, us), check_dynamic(verified_name, address)
    if missing and missing.score is None:
        name = missing
    is_no_server = not _ABOUT_CLIENT.isdisjoint((helo.kind, name.kind, missing and missing.kind))
    own = check_mail_to_oneself(request, counts_alone=is_no_server or scores.counts_mail_to_oneself_alone)
    findings: dict[AnyCheck, Finding] = {Check.HELO: helo, Check.DYNAMIC: name, Check.SENDER_IS_RECIPIENT: own}
    findings |= {kind: fault for kind, fault in _faults(request, address, us, helo) if scores.of[kind]}
    if missing and (names is not NOT_QUERIED or scores.of[FindingKind.CLIENT_HAS_NO_NAME]):
        findings[missing.kind or FindingKind.CLIENT_HAS_NO_NAME] = missing
    return {check: scores.counted(each) if each.kind else each for check, each in findings.items()}


def _faults(request: Request, address: Address, us: OwnIdentity, helo: Finding) -> list[tuple[FindingKind, Finding]]:
    """Return the faults of names and sender. If it is unknown whether HELO matches, those of a mismatch are unknown."""
    faults = []
    if line := check_dynamic_helo(request, address):
        faults.append((FindingKind.HELO_LOOKS_DYNAMIC, line))
    if helo.score is None or helo.kind is FindingKind.HELO_MISMATCH:
        of_mismatch = faults_of_mismatch(request, us)
        faults += [(kind, found(kind, says) if helo.kind else Finding(None, says)) for kind, says in of_mismatch]
    of_name = faults_of_own_name(request, address)
    faults += [(kind, found(kind, says)) for kind, says in of_name]
    if service := check_service(request, is_named=not of_name):
        faults.append((FindingKind.SERVICE_SENDER, service))
    return faults
