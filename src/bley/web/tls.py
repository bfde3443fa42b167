"""The certificate with which `web_listen` speaks TLS."""

import ssl
from pathlib import Path

from bley.core.errors import Fault, SettingsError
from bley.operator_files import read_text
from bley.settings.file import Configuration

__all__ = ["Certificate", "configured_certificate"]


class Certificate:
    """A certificate (with the chain behind it) and its key, in PEM form; `context` is how to speak TLS by them."""

    def __init__(self, file: Path, key_file: Path | None) -> None:
        """Raises SettingsError when they cannot be used."""
        self._file, self._key_file = file, key_file
        self._latest = self.context = self.read()
        self.context.sni_callback = self._take_latest

    def _take_latest(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        """Called at the begin of each connection, with or without a name: SSL_CTX_set_tlsext_servername_callback(3)."""
        connection.context = self._latest

    def read(self) -> ssl.SSLContext:
        """What the files have now, for `take`. Raises SettingsError."""
        for key, file in (("web_tls_cert", self._file), ("web_tls_key", self._key_file)):
            try:
                if file:
                    read_text(file, errors="replace")
            except OSError as error:
                raise SettingsError([Fault(key, 0, f"{file} cannot be read: {error.strerror}")]) from error
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            # Without a password, which would else be asked for on the terminal.
            context.load_cert_chain(self._file, self._key_file, password="")
        except OSError as error:  # ssl.SSLError is one; another: a file has gone meanwhile
            files = f"{self._file} and {self._key_file}" if self._key_file else str(self._file)
            what = (
                "the key is of another certificate"
                if getattr(error, "reason", "") == "KEY_VALUES_MISMATCH"
                else "a certificate and its key, without a password, are needed, in PEM form"
            )
            raise SettingsError([Fault("web_tls_cert", 0, f"{files} cannot be used: {what}")]) from error
        return context

    def take(self, latest: ssl.SSLContext) -> None:
        """Speak by it to new connections. Cannot fail."""
        self._latest = latest


def configured_certificate(configuration: Configuration) -> Certificate | None:
    """The one that is configured; None: no TLS. Raises SettingsError."""
    settings = configuration.settings
    if not settings.web_tls_cert:
        return None
    key = configuration.beside(settings.web_tls_key) if settings.web_tls_key else None
    return Certificate(configuration.beside(settings.web_tls_cert), key)
