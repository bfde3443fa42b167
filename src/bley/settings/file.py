"""Load `bley.conf` and the list files that it names: a valid configuration, or every fault with its file and line."""

import configparser
import difflib
import os
import re
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from bley.core.dnslists.syntax import hide_keys
from bley.core.errors import Fault, SettingsError
from bley.core.exemptions import ClientExemptions, MailExemptions, Origin, read_clients, read_mail_addresses
from bley.core.history.advice import ListFile, ListFiles
from bley.core.triplet import TripletRules
from bley.operator_files import read_text
from bley.settings.database import hide_password, is_utf8, read_password
from bley.settings.privacy_key import PrivacyKey, load_key
from bley.settings.settings import Settings
from bley.settings.web_password import PasswordHash, read_password_hash

__all__ = ["DEFAULT_FILES", "Configuration", "find_file", "load"]

DEFAULT_FILES = (Path("/etc/bley/bley.conf"), Path("bley.conf"))

_SECTION = "bley"
_GRAPH_SECTION = "bleygraph"
"""A section of bley 2. Only its key `destdir` is still used; [bley] may have it as well."""
_RENAMED = {"subnet_mask_v4": "ipv4_prefix", "subnet_mask_v6": "ipv6_prefix"}
"""The names of bley 2."""
_ALWAYS_EXEMPT = ("built-in", "postmaster@\nabuse@")  # complaints about delayed mail must arrive: RFC 5321 4.5.1
_TEMPLATES = ("reject_msg", "greylist_header")
_PASSWORD_VARIABLE = "BLEY_DBPASS"
_LINE = re.compile(r"(?P<key>[^\s=:#;\[][^=:]*?)\s*[=:]")

_Exemptions = TypeVar("_Exemptions", ClientExemptions, MailExemptions)


@dataclass(frozen=True, slots=True)
class Configuration:
    """The content of all the operator's files; `notes` are warnings about valid settings."""

    file: Path | None
    settings: Settings
    recipients: MailExemptions
    clients: ClientExemptions
    senders: MailExemptions
    notes: tuple[str, ...] = ()
    privacy_key: bytes = field(default=b"", repr=False)
    """Empty: local parts are stored in clear."""
    has_saved_key: bool = True
    """Whether the key's file exists; a new key is saved once a store accepts it."""
    web_password: PasswordHash | None = field(default=None, repr=False)
    """None: the web interface needs no password."""

    @property
    def triplet_rules(self) -> TripletRules:
        """How triplets are normalized and hashed."""
        return replace(self.settings.triplet_rules, privacy_key=self.privacy_key)

    @property
    def key(self) -> PrivacyKey:
        """The privacy key with its file, which the store compares with its own check value."""
        file = self.settings.folder / self.settings.privacy_key_file
        return PrivacyKey(self.privacy_key, file, is_saved=self.has_saved_key)

    @property
    def disabled_entries(self) -> list[Origin]:
        """The list file entries that no longer match anything, because their regular expressions took too long."""
        return [*self.recipients.put_aside, *self.clients.put_aside, *self.senders.put_aside]

    @property
    def list_files(self) -> ListFiles:
        """The list files to which the operator adds exemptions: the first file of each kind."""
        return ListFiles(
            self._list_file("whitelist_clients_file"),
            self._list_file("whitelist_senders_file"),
            self._list_file("whitelist_recipients_file"),
            is_private=bool(self.privacy_key),
        )

    def _list_file(self, key: str) -> ListFile:
        names = getattr(self.settings, key)
        path = self.beside((names or Settings.model_fields[key].default)[0])
        return ListFile(key, str(path.absolute()), is_read=bool(names))

    def beside(self, name: str) -> Path:
        """Return the path of a file that the settings name, relative to the folder of `bley.conf`."""
        return (self.file.parent if self.file else Path()) / name

    def overridden(self, settings: Mapping[str, object]) -> "Configuration":
        """Return the configuration with settings from the command line, which are not validated."""
        return replace(self, settings=self.settings.model_copy(update=dict(settings)))


def find_file(file: Path | None) -> Path | None:
    """Return the given settings file, else the first default that exists, else None."""
    return file or next((default for default in DEFAULT_FILES if default.is_file()), None)


def load(file: Path | None = None) -> Configuration:
    """Read the settings file (None: only the defaults) and its list files, without writing anything.

    Raises SettingsError with every fault of the settings or, if these are valid, of the list files.
    """
    texts, lines = _read_ini(file) if file else ({}, {})
    settings = _settings(texts, lines, str(file))
    folder = file.parent if file else Path()
    _check_store_file(settings, lines, str(file))
    settings = _with_password(settings, folder, Fault(str(file), lines.get("dbpass_file", 0), ""))
    faults: list[Fault] = []

    def read(key: str, reader: Callable[[Iterable[tuple[str, str]]], _Exemptions]) -> _Exemptions:
        try:
            return reader(_list_files(settings, key, folder, Fault(str(file), lines.get(key, 0), "")))
        except SettingsError as error:
            faults.extend(error.faults)
            return reader([])

    key_file = settings.folder / settings.privacy_key_file
    key = load_key(key_file) if settings.privacy == "keyed-hash" else PrivacyKey()
    configuration = Configuration(
        file=file,
        settings=settings,
        recipients=read("whitelist_recipients_file", lambda files: read_mail_addresses([_ALWAYS_EXEMPT, *files])),
        clients=read("whitelist_clients_file", read_clients),
        senders=read("whitelist_senders_file", read_mail_addresses),
        notes=(
            *_doubled_percents(texts, lines, str(file)),
            *_dead_lists(settings, lines, str(file)),
            *_bare_password(settings, lines, str(file)),
        ),
        privacy_key=key.value,
        has_saved_key=key.is_saved,
        web_password=_web_password(settings, folder, Fault(str(file), lines.get("web_password_file", 0), "")),
    )
    if faults:
        raise SettingsError(faults)
    return configuration


def _read_ini(file: Path) -> tuple[dict[str, str], dict[str, int]]:
    """Return the keys of section [bley] with their texts, and the line number of each key."""
    parser = configparser.ConfigParser(interpolation=None, default_section="")
    try:
        text = read_text(file, "utf-8-sig")
        parser.read_string(text, str(file))
    except OSError as error:
        raise SettingsError([Fault(str(file), 0, f"cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        raise SettingsError([Fault(str(file), 0, "is not UTF-8")]) from error
    except configparser.Error as error:
        raise SettingsError(_ini_faults(str(file), text.split("\n"), error)) from error
    lines = _line_numbers(text)
    for section in parser.sections():
        if section not in (_SECTION, _GRAPH_SECTION):
            fault = Fault(str(file), lines.get(f"[{section}]", 0), f"unknown section [{section}]: write [{_SECTION}]")
            raise SettingsError([fault])
    if not parser.has_section(_SECTION):
        raise SettingsError([Fault(str(file), 0, f"has no section [{_SECTION}]")])
    inherited = parser[_GRAPH_SECTION] if parser.has_section(_GRAPH_SECTION) else {}
    return {key: inherited[key] for key in ("destdir",) if key in inherited} | dict(parser[_SECTION]), lines


def _ini_faults(file: str, lines: Sequence[str], error: configparser.Error) -> list[Fault]:
    match error:
        case configparser.MissingSectionHeaderError():
            return [Fault(file, error.lineno, f"a setting before the section: begin the file with [{_SECTION}]")]
        case configparser.DuplicateOptionError():
            return [Fault(file, error.lineno or 0, f"{hide_keys(error.option)} is set a second time")]
        case configparser.DuplicateSectionError():
            return [Fault(file, error.lineno or 0, f"section [{error.section}] appears a second time")]
        case configparser.ParsingError():
            numbers = [number for number, _ in error.errors]  # with the line, or before Python 3.13 its repr
            shown = [(number, lines[number - 1].strip()) for number in numbers]
            return [
                Fault(file, line, f"{hide_keys(text)!r} is not a setting: write key = value") for line, text in shown
            ]
    raise error


def _line_numbers(text: str) -> dict[str, int]:
    """Return the line numbers of the sections and of the keys of [bley], which configparser does not report."""
    numbers: dict[str, int] = {}
    section, indent, is_in_value = "", 0, False
    for number, line in enumerate(text.split("\n"), start=1):
        content = line.strip()
        depth = len(line) - len(line.lstrip())
        if not content or content[0] in "#;" or (is_in_value and depth > indent):
            continue
        is_in_value, indent = False, depth
        if header := configparser.ConfigParser.SECTCRE.match(content):
            section = header["header"]
            numbers[f"[{section}]"] = number
        elif section == _SECTION and (match := _LINE.match(content)):
            numbers[match["key"].lower()] = number
            is_in_value = True
    return numbers


def _settings(texts: Mapping[str, str], lines: Mapping[str, int], file: str) -> Settings:
    faults = []
    known: dict[str, str] = {}
    origin: dict[str, str] = {}
    for key, text in texts.items():
        field = _RENAMED.get(key, key)
        if field not in Settings.model_fields:
            faults.append(Fault(file, lines.get(key, 0), f"unknown key {hide_keys(key)!r}{_did_you_mean(key)}"))
        elif field in known:
            faults.append(Fault(file, lines.get(key, 0), f"{key} and {origin[field]} are the same setting: keep one"))
        else:
            known[field], origin[field] = text, key
    try:
        settings = Settings.model_validate(known)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            field = str(detail["loc"][0])
            key = origin.get(field, field)
            shown = "********" if key == "dbpass" else hide_keys(texts.get(key, "its default"))
            shown = hide_password(shown) if key == "database" else shown
            what = hide_keys(_what(detail["type"], detail["msg"]))
            shows_itself = "\n" in what  # with a caret under the place
            faults.append(
                Fault(file, lines.get(key, 0), f"{key}: {what}" if shows_itself else f"{key} = {shown}: {what}")
            )
    if faults:
        raise SettingsError(sorted(faults, key=lambda fault: fault.line))
    return settings


def _check_store_file(settings: Settings, lines: Mapping[str, int], file: str) -> None:
    """Raise SettingsError if SQLite's file is a device, a FIFO or a socket: reading it might never end."""
    place = settings.store.file
    if settings.store.dbtype != "sqlite3":
        return
    try:
        kind = place.stat().st_mode
    except OSError:
        return  # the store creates it, or reports why it cannot be opened
    if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
        key = next((key for key in ("database", "dbname", "dbpath") if key in lines), "database")
        raise SettingsError([Fault(file, lines.get(key, 0), f"{key}: {place} is not a regular file")])


def _with_password(settings: Settings, folder: Path, place: Fault) -> Settings:
    """Return the settings with the store's password from its file, else from the environment."""
    if settings.dbpass_file:
        if settings.dbpass:
            raise SettingsError([replace(place, text="dbpass_file and dbpass both set the password: keep one")])
        try:
            password = read_password(folder / settings.dbpass_file)
        except ValueError as error:
            raise SettingsError([replace(place, text=f"dbpass_file: {error}")]) from error
    elif not (password := os.environ.get(_PASSWORD_VARIABLE, "")):
        return settings
    elif not is_utf8(password):
        raise SettingsError([Fault(_PASSWORD_VARIABLE, 0, "is not UTF-8")])
    return settings.model_copy(update={"dbpass": password})


def _web_password(settings: Settings, folder: Path, place: Fault) -> PasswordHash | None:
    if not settings.web_password_file:
        return None
    file = folder / settings.web_password_file
    try:
        return read_password_hash(file)
    except OSError as error:
        text = f"web_password_file: {file} cannot be read: {error.strerror}; `bley web-password {file}` creates it"
        raise SettingsError([replace(place, text=text)]) from error


def _bare_password(settings: Settings, lines: Mapping[str, int], file: str) -> list[str]:
    if not (settings.web_password_file and settings.web_is_open) or settings.web_tls_cert:
        return []
    what = "the password is sent over the network unencrypted"
    remedy = "set web_tls_cert, or listen at a loopback address behind a reverse proxy with TLS"
    return [f"{file}:{lines.get('web_listen', 0)}: web_listen: {what}: {remedy}"]


def _doubled_percents(texts: Mapping[str, str], lines: Mapping[str, int], file: str) -> list[str]:
    """Note each %% outside of templates: bley 2 read it as one percent sign everywhere."""
    return [
        f"{file}:{lines.get(key, 0)}: {key} has %%, which bley 2 read as one %: write one % if that is meant"
        for key, text in texts.items()
        if "%%" in text and key not in _TEMPLATES
    ]


def _dead_lists(settings: Settings, lines: Mapping[str, int], file: str) -> list[str]:
    """Note each configured DNS list that is known to be dead; dead lists are not queried."""
    return [
        f"{file}:{lines.get(key, 0)}: {key}: {dns_list.name} has been dead since {facts.since}: it {facts.how}; "
        f"it is not queried: use {facts.instead} instead"
        for key in ("dnsbls", "dnswls")
        for dns_list in getattr(settings, key)
        if (facts := dns_list.facts).status == "dead"
    ]


def _what(kind: str, message: str) -> str:
    """Rewrite pydantic's error message so that it can follow the value."""
    if kind.startswith("int_"):
        return "is not a whole number"
    if kind.endswith("too_short"):
        return "must not be empty"
    return message.removeprefix("Value error, ").replace("Input should be", "must be", 1)


def _did_you_mean(key: str) -> str:
    close = difflib.get_close_matches(key, Settings.model_fields, n=1, cutoff=0.6)
    return f", did you mean {close[0]!r}?" if close else ": see docs/settings.md for all keys"


def _list_files(settings: Settings, key: str, folder: Path, place: Fault) -> list[tuple[str, str]]:
    """Return the texts of the list files of `key`; a file that is only the default may be missing."""
    texts, faults = [], []
    for name in getattr(settings, key):
        path = folder / name
        try:
            texts.append((str(path), read_text(path, "utf-8-sig")))
        except FileNotFoundError:
            if getattr(settings, key) != Settings.model_fields[key].default:
                faults.append(Fault(place.file, place.line, f"{key}: {path} does not exist"))
        except OSError as error:
            faults.append(Fault(str(path), 0, f"cannot be read: {error.strerror}"))
        except UnicodeDecodeError:
            faults.append(Fault(str(path), 0, "is not UTF-8"))
    if faults:
        raise SettingsError(faults)
    return texts
