"""The certificate with which `web_listen` speaks TLS."""

import ssl
from pathlib import Path

from bley.config_file import Configuration
from bley.core.errors import Fault, SettingsError

__all__ = ["Certificate", "certificate_of"]


class Certificate:
    """A certificate (with the chain behind it) and its key, in PEM form; `context` is how to speak TLS by them."""

    def __init__(self, file: Path, key_file: Path | None) -> None:
        """Raises SettingsError when they cannot be used."""
        self._file, self._key_file = file, key_file
        self.context = _new_context()
        self.read()

    def read(self) -> None:
        """Take what the files have now, for new connections. Raises SettingsError, and then the old one stays."""
        for key, file in (("web_tls_cert", self._file), ("web_tls_key", self._key_file)):
            try:
                if file:
                    file.read_bytes()
            except OSError as error:
                raise SettingsError([Fault(key, 0, f"{file} cannot be read: {error.strerror}")]) from error
        try:
            self._load_into(_new_context())
            self._load_into(self.context)
        except ssl.SSLError as error:
            files = f"{self._file} and {self._key_file}" if self._key_file else str(self._file)
            what = (
                "the key is of another certificate"
                if error.reason == "KEY_VALUES_MISMATCH"
                else "a certificate and its key, without a password, are needed, in PEM form"
            )
            raise SettingsError([Fault("web_tls_cert", 0, f"{files} cannot be used: {what}")]) from error

    def _load_into(self, context: ssl.SSLContext) -> None:
        context.load_cert_chain(
            self._file, self._key_file, password=""
        )  # which would else be asked for on the terminal


def _new_context() -> ssl.SSLContext:
    return ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)


def certificate_of(configuration: Configuration) -> Certificate | None:
    """The one that is configured; None: no TLS. Raises SettingsError."""
    settings = configuration.settings
    if not settings.web_tls_cert:
        return None
    key = configuration.beside(settings.web_tls_key) if settings.web_tls_key else None
    return Certificate(configuration.beside(settings.web_tls_cert), key)
