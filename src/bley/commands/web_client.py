"""HTTP client for `web_listen` of the running bley on this machine: for `bley lists`, `bley stats` and `bley top`."""

import http.client
import json
import re
import ssl
from ipaddress import ip_address
from pathlib import Path

from bley.checks.lists.report import ListReport
from bley.core.errors import BleyError
from bley.settings.file import Configuration

__all__ = ["WebError", "fetch_lists", "fetch_page"]

_WAIT_SECONDS = 5.0
_CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


class WebError(BleyError):
    """A failed request to the running bley; the message has the reason."""


def fetch_page(configuration: Configuration, path: str) -> bytes:
    """Return the content of this path. Raises WebError."""
    settings = configuration.settings
    if settings.web_place is None:
        raise WebError("web_listen is empty, and the running bley answers only there")
    try:
        peer = _connect(configuration, *settings.web_place)
        try:
            peer.request("GET", path, headers=_credentials(configuration))
            answer = peer.getresponse()
            text = answer.read()
        finally:
            peer.close()
    except (OSError, http.client.HTTPException) as error:
        raise WebError(f"no answer from web_listen {settings.web_listen}: {error}; is bley running?") from error
    if answer.status != http.client.OK:
        message = text.decode(errors="replace").strip()
        raise WebError(f"web_listen {settings.web_listen} answers {answer.status} {answer.reason}: {message}")
    return text


def fetch_lists(configuration: Configuration) -> list[ListReport]:
    """Return the health of the DNS lists in the running bley. Raises WebError."""
    try:
        reports = json.loads(fetch_page(configuration, "/lists"))
    except (ValueError, RecursionError):
        reports = None
    if not isinstance(reports, list) or not all(map(_is_report, reports)):
        place = configuration.settings.web_listen
        raise WebError(f"web_listen {place} belongs to another program: its answer has no lists")
    return reports


def _is_report(answer: object) -> bool:
    return isinstance(answer, dict) and ListReport.__required_keys__ <= answer.keys()


def _connect(configuration: Configuration, host: str, port: int) -> http.client.HTTPConnection:
    address = ip_address(host)
    if address.is_unspecified:
        host = "127.0.0.1" if address.version == 4 else "::1"
    if not configuration.settings.web_tls_cert:
        return http.client.HTTPConnection(host, port, timeout=_WAIT_SECONDS)
    return _connect_tls(configuration.beside(configuration.settings.web_tls_cert), host, port)


def _connect_tls(file: Path, host: str, port: int) -> http.client.HTTPConnection:
    """Connect, and compare the peer's certificate with the file. Raises WebError before any request if they differ.

    Names and issuers do not matter: another certificate of the same issuer is not bley's. After a renewal bley uses the
    old certificate until it is reloaded. The file does not show that it was renewed, so that is an error too.
    """
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # the certificate itself is compared below
    peer = http.client.HTTPSConnection(host, port, timeout=_WAIT_SECONDS, context=context)
    expected = _certificate_of(file)
    peer.connect()
    if peer.sock.getpeercert(binary_form=True) != expected:
        peer.close()
        raise WebError(f"the certificate of web_listen is not the one in {file}: if that was renewed, reload bley")
    return peer


def _certificate_of(file: Path) -> bytes:
    """Return the first certificate in the file, which is bley's own; its issuers follow it."""
    try:
        match = _CERTIFICATE.search(file.read_text(encoding="ascii", errors="replace"))
        return ssl.PEM_cert_to_DER_cert(match[0] if match else "")
    except OSError as error:
        raise WebError(f"web_tls_cert: {file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise WebError(f"web_tls_cert: {file} has no PEM certificate") from error


def _credentials(configuration: Configuration) -> dict[str, str]:
    return {"Authorization": f"Bearer {configuration.web_password.proof}"} if configuration.web_password else {}
