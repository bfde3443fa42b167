"""Asks the running bley at `web_listen`, from its own machine: for `bley lists`, `bley stats`, `bley top`."""

import http.client
import json
import ssl
from ipaddress import ip_address

from bley.checks.list_report import ListReport
from bley.config_file import Configuration
from bley.core.errors import BleyError

__all__ = ["WebError", "ask_lists", "ask_web"]

_WAIT_SECONDS = 5.0


class WebError(BleyError):
    """The running bley could not be asked; the text says why."""


def ask_web(configuration: Configuration, path: str) -> bytes:
    """What it shows there. Raises WebError."""
    settings = configuration.settings
    if settings.web_place is None:
        raise WebError("web_listen is empty, so that the running bley cannot be asked")
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
        said = text.decode(errors="replace").strip()
        raise WebError(f"web_listen {settings.web_listen} answers {answer.status} {answer.reason}: {said}")
    return text


def ask_lists(configuration: Configuration) -> list[ListReport]:
    """How its DNS lists do. Raises WebError."""
    try:
        reports: list[ListReport] = json.loads(ask_web(configuration, "/lists"))
    except ValueError as error:
        place = configuration.settings.web_listen
        raise WebError(f"web_listen {place} is not bley's, it answers no lists") from error
    return reports


def _connect(configuration: Configuration, host: str, port: int) -> http.client.HTTPConnection:
    address = ip_address(host)
    if address.is_unspecified:
        host = "127.0.0.1" if address.version == 4 else "::1"
    if not configuration.settings.web_tls_cert:
        return http.client.HTTPConnection(host, port, timeout=_WAIT_SECONDS)
    # Who shows our certificate has its key, so it is bley: by whatever name and authority.
    context = ssl.create_default_context(cafile=str(configuration.beside(configuration.settings.web_tls_cert)))
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.check_hostname = False
    return http.client.HTTPSConnection(host, port, timeout=_WAIT_SECONDS, context=context)


def _credentials(configuration: Configuration) -> dict[str, str]:
    return {"Authorization": f"Bearer {configuration.web_password.proof}"} if configuration.web_password else {}
