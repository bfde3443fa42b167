"""The TLS certificate of `web_listen`."""

import ssl
from pathlib import Path

from bley.core.errors import Fault, SettingsError
from bley.operator_files import read_text
from bley.settings.file import Configuration

__all__ = ["Certificate", "configured_certificate"]


class Certificate:
    """A certificate with its chain, and its key, in PEM form; `context` serves them, and later ones after `use`."""

    def __init__(self, file: Path, key_file: Path | None) -> None:
        """Raises SettingsError if they cannot be used."""
        self._file, self._key_file = file, key_file
        self._latest = self.context = self.load()
        self.context.sni_callback = self._select_latest

    def _select_latest(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        """Callback at the start of each handshake, with or without SNI: SSL_CTX_set_tlsext_servername_callback(3)."""
        connection.context = self._latest

    def load(self) -> ssl.SSLContext:
        """Return a context with the present content of the files, for `use`. Raises SettingsError."""
        for key, file in (("web_tls_cert", self._file), ("web_tls_key", self._key_file)):
            try:
                if file:
                    read_text(file, errors="replace")
            except OSError as error:
                raise SettingsError([Fault(key, 0, f"{file} cannot be read: {error.strerror}")]) from error
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            # Without this empty password, OpenSSL would prompt for one on the terminal.
            context.load_cert_chain(self._file, self._key_file, password="")
        except OSError as error:  # an ssl.SSLError, or a file that was removed meanwhile
            files = f"{self._file} and {self._key_file}" if self._key_file else str(self._file)
            fault = (
                "the key belongs to another certificate"
                if getattr(error, "reason", "") == "KEY_VALUES_MISMATCH"
                else "it must hold a certificate and its key, in PEM form, without a password"
            )
            raise SettingsError([Fault("web_tls_cert", 0, f"{files} cannot be used: {fault}")]) from error
        return context

    def use(self, latest: ssl.SSLContext) -> None:
        """Serve this context to new connections. This cannot fail."""
        self._latest = latest


def configured_certificate(configuration: Configuration) -> Certificate | None:
    """Return the configured certificate; None means no TLS. Raises SettingsError."""
    settings = configuration.settings
    if not settings.web_tls_cert:
        return None
    key = configuration.beside(settings.web_tls_key) if settings.web_tls_key else None
    return Certificate(configuration.beside(settings.web_tls_cert), key)
