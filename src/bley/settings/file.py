"""Load `bley.conf` and the list files that it names: a valid configuration, or every fault with its file and line."""

import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from bley.core.errors import Fault, SettingsError
from bley.core.exemptions.lookup import ClientExemptions, MailExemptions, Origin, SenderExemptions
from bley.core.history.advice import ListFiles
from bley.core.triplet import TripletRules
from bley.settings.database import is_utf8, read_password
from bley.settings.fault_texts import hide_secrets, invalid_value
from bley.settings.foreign import suggest_key
from bley.settings.ini_file import IniFile, read_ini
from bley.settings.list_warnings import find_list_warnings
from bley.settings.lists import LocalLists, local_list_file, read_lists
from bley.settings.privacy_key import PrivacyKey, load_key
from bley.settings.sections import Section, Timings
from bley.settings.settings import Settings
from bley.settings.warnings import find_hidden_recipients, find_section_warnings, find_warnings
from bley.settings.web_password import PasswordHash, read_password_hash

__all__ = ["DEFAULT_FILES", "Configuration", "find_file", "load"]

DEFAULT_FILES = (Path("/etc/bley/bley.conf"), Path("bley.conf"))

_RENAMED = {"subnet_mask_v4": "ipv4_prefix", "subnet_mask_v6": "ipv6_prefix"}
"""The names of bley 2."""
_PASSWORD_VARIABLE = "BLEY_DBPASS"


@dataclass(frozen=True, slots=True)
class Configuration:
    """The content of all the operator's files; `warnings` are about valid settings."""

    file: Path | None
    settings: Settings
    recipients: MailExemptions
    clients: ClientExemptions
    senders: SenderExemptions
    sections: tuple[Section, ...] = ()
    """The rules of some recipients, of which the first section with the recipient is in force."""
    local_lists: LocalLists = field(default_factory=LocalLists)
    """The list files of `bley allow`."""
    warnings: tuple[str, ...] = ()
    privacy_key: bytes = field(default=b"", repr=False)
    """Empty: local parts are stored in clear."""
    has_saved_key: bool = True
    """Whether the key's file exists; a new key is saved once a store accepts it."""
    web_password: PasswordHash | None = field(default=None, repr=False)
    """None: the web interface needs no password."""

    @property
    def resolved_file(self) -> str:
        """The absolute name of `bley.conf`, without links; empty if there is none."""
        return str(self.file.resolve()) if self.file else ""

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
        lists = [self.recipients, self.clients, self.senders, *(section.recipients for section in self.sections)]
        return [entry for each in lists for entry in each.disabled]

    @property
    def list_files(self) -> ListFiles:
        """The list files that `bley allow` writes, and how a command names these settings."""
        clients, senders, recipients = (
            str(local_list_file(self.settings, kind, self.beside("")).absolute())
            for kind in ("client", "sender", "recipient")
        )
        file = self.file and self.file.absolute()
        option = () if file in (None, DEFAULT_FILES[0]) else ("-c", str(file))
        return ListFiles(clients, senders, recipients, bool(self.privacy_key), option)

    def command(self, name: str, *words: str) -> str:
        """Return a line for the shell that runs this command with these settings."""
        return self.list_files.command(name, *words)

    def beside(self, name: str) -> Path:
        """Return the path of a file that the settings name, relative to the folder of `bley.conf`."""
        return (self.file.parent if self.file else Path()) / name

    def settings_of(self, section: str) -> Settings:
        """Return the settings in force for the recipients of this section, or those of [bley] if there is none."""
        values = next((each.values for each in self.sections if each.name == section), {})
        return self.settings.model_copy(update=dict(values)) if values else self.settings

    @property
    def timings(self) -> Timings:
        """The durations of the greylist, by recipient."""
        sections = [(section.recipients, self.settings_of(section.name).timing) for section in self.sections]
        return Timings(self.settings.timing, sections)

    def overridden(self, settings: Mapping[str, object]) -> "Configuration":
        """Return the configuration with settings from the command line, which are not validated."""
        return replace(self, settings=self.settings.model_copy(update=dict(settings)))


def find_file(file: Path | None) -> Path | None:
    """Return the given settings file, else the first default that exists, else None."""
    return file or next((default for default in DEFAULT_FILES if _is_there(default)), None)


def _is_there(file: Path) -> bool:
    """Return whether the file exists, also if this user may not read it: the defaults would be wrong then."""
    try:
        return file.is_file()
    except PermissionError:
        return True


def load(file: Path | None = None) -> Configuration:
    """Read the settings file (None: only the defaults) and its list files, without writing anything.

    Raises SettingsError with every fault of the settings or, if these are valid, of the list files.
    """
    ini = read_ini(file) if file else IniFile()
    folder = file.parent if file else Path()
    settings = _settings(ini)
    _check_store_file(settings, ini)
    settings = _with_password(settings, folder, ini)
    key_file = settings.folder / settings.privacy_key_file
    key = load_key(key_file) if settings.privacy == "keyed-hash" else PrivacyKey()
    lists = read_lists(settings, ini, folder, datetime.now(UTC).date())
    return Configuration(
        file=file,
        settings=settings,
        recipients=lists.recipients,
        clients=lists.clients,
        senders=lists.senders,
        sections=lists.sections,
        local_lists=lists.local,
        warnings=(*map(str, _warnings(settings, ini, lists.sections)), *find_list_warnings(lists.clients, *lists.mail)),
        privacy_key=key.value,
        has_saved_key=key.is_saved,
        web_password=_web_password(settings, folder, ini),
    )


def _warnings(settings: Settings, ini: IniFile, sections: Sequence[Section]) -> Iterator[Fault]:
    yield from find_warnings(settings, ini)
    for section in sections:
        own = settings.model_copy(update=dict(section.values))
        yield from find_section_warnings(own, ini.recipients[section.name])
    yield from find_hidden_recipients(sections, ini)


def _settings(ini: IniFile) -> Settings:
    faults = ini.faults
    known: dict[str, str] = {}
    origin: dict[str, str] = {}
    for key, text in ini.texts.items():
        field = _RENAMED.get(key, key)
        if field not in Settings.model_fields:
            text = f"unknown key {hide_secrets(key)!r}{suggest_key(key, Settings.model_fields)}"
            faults.add(ini.fault(key, text), kind="unknown key")
        elif field in known:
            faults.add(ini.fault(key, f"{key} and {origin[field]} are the same setting: keep one"))
        else:
            known[field], origin[field] = text, key
    try:
        settings = Settings.model_validate(known)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            field = str(detail["loc"][0])
            key = origin.get(field, field)
            text = invalid_value(key, ini.texts.get(key, "its default"), detail)
            faults.add(ini.fault(key if key in ini.texts else _key_named_in(text, ini), text))
    faults.check()
    return settings


def _key_named_in(text: str, ini: IniFile) -> str:
    """Return the key in the file that conflicts with a default; empty if the text names none."""
    return next((key for key in ini.texts if key in re.findall(r"\w+", text)), "")


def _check_store_file(settings: Settings, ini: IniFile) -> None:
    """Raise SettingsError if SQLite's file is a device, a FIFO or a socket: reading it might never end."""
    path = settings.store.file
    if settings.store.dbtype != "sqlite3":
        return
    try:
        kind = path.stat().st_mode
    except OSError:
        return  # the store creates it, or reports why it cannot be opened
    if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
        key = next((key for key in ("database", "dbname", "dbpath") if key in ini.lines), "database")
        raise SettingsError([ini.fault(key, f"{key}: {path} is not a regular file")])


def _with_password(settings: Settings, folder: Path, ini: IniFile) -> Settings:
    """Return the settings with the store's password from its file, else from the environment."""
    if settings.dbpass_file:
        if settings.dbpass:
            text = "dbpass_file and dbpass both set the password: keep one"
            raise SettingsError([ini.fault("dbpass_file", text)])
        try:
            password = read_password(folder / settings.dbpass_file)
        except ValueError as error:
            raise SettingsError([ini.fault("dbpass_file", f"dbpass_file: {error}")]) from error
    elif not (password := os.environ.get(_PASSWORD_VARIABLE, "")):
        return settings
    elif not is_utf8(password):
        raise SettingsError([Fault(_PASSWORD_VARIABLE, 0, "is not UTF-8")])
    return settings.model_copy(update={"dbpass": password})


def _web_password(settings: Settings, folder: Path, ini: IniFile) -> PasswordHash | None:
    if not settings.web_password_file:
        return None
    file = folder / settings.web_password_file
    try:
        return read_password_hash(file)
    except OSError as error:
        why = f"{file} cannot be read: {error.strerror}; `bley web-password {file}` creates it"
        raise SettingsError([ini.fault("web_password_file", f"web_password_file: {why}")]) from error
