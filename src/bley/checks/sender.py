"""The checks of the sender: the recipient's own address, or a service of the client."""

from bley.core.evidence import Finding, found
from bley.core.findings import FindingKind
from bley.core.mail import Request
from bley.core.names.domains import a_labels

__all__ = ["check_mail_to_oneself", "check_service"]

_OTHER_SENDER = Finding(0, "sender is another")

_SERVICES = frozenset(
    {"root", "daemon", "nobody", "anonymous", "system", "cron", "admin", "administrator", "webmaster", "mailnull"}
    | {"www", "www-data", "wwwrun", "web", "http", "httpd", "apache", "apache2", "nginx", "lighttpd", "tomcat"}
    | {"wordpress", "cpanel", "mysql", "postgres", "ftp"}
    | {"bitnami", "ubuntu", "debian", "centos", "ec2-user"}  # the first user of a machine image
)
"""Local parts of the accounts under which the services of a host run. Mail of such an account to strangers is mostly a
contact form's or an intruder's."""


def check_mail_to_oneself(request: Request, *, counts_alone: bool) -> Finding:
    """Check whether sender and recipient are the same.

    People write to themselves. That is suspicious only if the client looks unlike a mail server, or SPF does not pass.
    """
    sender, recipient = request.sender.rstrip(".").casefold(), request.recipient.rstrip(".").casefold()
    if not sender or sender != recipient:
        return _OTHER_SENDER
    return found(FindingKind.SENDER_IS_RECIPIENT, "sender is recipient")._replace(counts_alone=counts_alone)


def check_service(request: Request, *, is_named: bool = True) -> Finding | None:
    """Check whether the sender is a service of the client: an account like `root` at the client's own name.

    A host that no person gave a name, not `is_named`, has accounts of services only.
    """
    account, _, host = request.sender.rpartition("@")
    if is_named and account.casefold() not in _SERVICES:
        return None
    host = a_labels(host)
    if not host or host not in (a_labels(request.verified_name), a_labels(request.helo_name)):
        return None
    return found(FindingKind.SERVICE_SENDER, f"{account} is an account of {host}")
