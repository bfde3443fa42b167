"""Warnings about valid settings: `bley check-config` prints them, and `bley serve` logs them at start and reload."""

from collections.abc import Iterator

from bley.core.errors import Fault
from bley.settings.ini_file import IniFile
from bley.settings.settings import Settings

__all__ = ["find_warnings"]

_TEMPLATES = ("reject_msg", "greylist_header")


def find_warnings(settings: Settings, ini: IniFile) -> Iterator[Fault]:
    """Yield a warning with its place for each setting that is valid but hardly meant."""
    yield from _doubled_percents(ini)
    yield from _dead_lists(settings, ini)
    yield from _bare_password(settings, ini)


def _bare_password(settings: Settings, ini: IniFile) -> list[Fault]:
    """Note a web password that other machines send without TLS."""
    if not (settings.web_password_file and settings.web_is_open) or settings.web_tls_cert:
        return []
    what = "the password is sent over the network unencrypted"
    remedy = "set web_tls_cert, or listen at a loopback address behind a reverse proxy with TLS"
    return [ini.fault("web_listen", f"web_listen: {what}: {remedy}")]


def _doubled_percents(ini: IniFile) -> list[Fault]:
    """Note each %% outside of templates: bley 2 read it as one percent sign everywhere."""
    what = "has %%, which bley 2 read as one %: write one % if that is meant"
    return [
        ini.fault(key, f"{key} {what}") for key, text in ini.texts.items() if "%%" in text and key not in _TEMPLATES
    ]


def _dead_lists(settings: Settings, ini: IniFile) -> list[Fault]:
    """Note each configured DNS list that is known to be dead; dead lists are not queried."""
    return [
        ini.fault(
            key,
            f"{key}: {dns_list.name} has been dead since {facts.since}: it {facts.how}; "
            f"it is not queried: use {facts.instead} instead",
        )
        for key in ("dnsbls", "dnswls")
        for dns_list in getattr(settings, key)
        if (facts := dns_list.facts).status == "dead"
    ]
