"""settings.file: written and loaded again, bley.conf is the same; otherwise each fault has a line and can be shown."""

import re
import tempfile
from functools import cache
from pathlib import Path

from bley.core.dnslists.syntax import hide_keys
from bley.core.errors import SettingsError
from bley.settings.file import Configuration, load
from bley.settings.sections import show_sections
from bley.settings.settings import Settings, show
from tests.fuzz.fields import SEPARATOR, Fields
from tests.fuzz.harness import Harness

_LISTS = ("whitelist_clients", "whitelist_senders", "whitelist_recipients")
_PASSWORDS = {"dbpass", "database"}
"""Settings that are not shown unchanged."""
_LINE_END = re.compile(rb"\r\n|[\r\n]")
_MOST_FAULTS = 20
_SPECIAL = (b"/dev", b"/proc", b"/sys", b"/run")
"""Folders with files that may block their reader."""


def check(data: bytes) -> None:
    """Check the file, and the list files in its folder."""
    if any(folder in data for folder in _SPECIAL):
        return
    fields = Fields(data)
    text, lists = fields.octets(), [fields.octets() for _ in _LISTS]
    for name, of_list in zip(_LISTS, lists, strict=True):
        _folder().joinpath(name).write_bytes(of_list)
    configuration = _load(text)
    if configuration is None:
        return
    assert all(note.isprintable() for note in configuration.warnings), "a note that a terminal would take for a command"
    sections = show_sections(configuration.sections)
    shown = show(configuration.settings) + sections
    zones = [each.zone for each in (*configuration.settings.dnsbls, *configuration.settings.dnswls)]
    if list(map(hide_keys, zones)) != zones:
        return  # shown with asterisks for a customer's key, which no zone can have
    again = _load(shown.encode())
    assert again is not None, "what `bley check-config` shows is refused"
    assert _shown(again.settings) == _shown(configuration.settings), "what `bley check-config` shows is something else"
    assert show_sections(again.sections) == sections, "what it shows of sections is something else"


def _load(text: bytes) -> Configuration | None:
    """Check its faults and return None if it has any."""
    file = _folder() / "bley.conf"
    file.write_bytes(text)
    try:
        return load(file)
    except SettingsError as error:
        faults = error.faults
    assert faults, "refused without a fault"
    numbers = {fault.file: len(_LINE_END.findall(Path(fault.file).read_bytes())) + 1 for fault in faults[:_MOST_FAULTS]}
    for fault in faults[:_MOST_FAULTS]:
        lines = str(fault).split("\n")  # a DNS list also has the text, with a caret under the place
        assert all(line.isprintable() for line in lines), f"a terminal would take for a command: {lines}"
        assert "".join(lines).strip(), "a fault without words"
        assert 0 <= fault.line <= numbers[fault.file], "a line that is not there"
    return None


def _shown(settings: Settings) -> dict[str, object]:
    return settings.model_dump(exclude=_PASSWORDS)


@cache
def _folder() -> Path:
    folder = tempfile.TemporaryDirectory(prefix="bley-fuzz-")
    _kept.append(folder)
    return Path(folder.name)


_kept: list[tempfile.TemporaryDirectory[str]] = []
"""Return a folder that exists until the process ends."""


def _seed(text: str | bytes, *lists: bytes) -> bytes:
    raw = text.encode() if isinstance(text, str) else text
    return SEPARATOR.join([b"[bley]\n" + raw, *lists])


HARNESS = Harness(
    check,
    seeds=[
        show(Settings()).encode(),
        _seed(
            "listen_addr = 127.0.0.1, ::1\nlisten_port = 1338\ngreylist_period = 29m\nsubnet_mask_v4 = 255.255.255.0\n"
        ),
        _seed("dnsbls = zen.spamhaus.org=127.0.0.[2..11]*3,\n    bl.spamcop.net\ndnswls =\n"),
        _seed("reject_msg = wait %(wait)s\n  and %%\nscores = classic\nrecipient_delimiter = +-\n"),
        _seed("database = postgresql://bley:secret@db.example/bley?tls=verify\nlog_file = syslog\n"),
        _seed("database = redis://h1,h2:26379/0?sentinel=m\nprivacy = off\n"),
        _seed("greylist_perod = 5\nresolver = 127.0.0.1:5353, [2001:db8::1]:53\ncheck_timeout = 90s\n"),
        _seed("whitelist_clients_file = whitelist_clients\n", b"example.com\n192.0.2.0/24\nwrong line\n", b"a@b\n"),
        _seed(b"trusted_networks = ::ffff:192.0.2.0/120\nweb_listen = 0.0.0.0:80\nscores = helo-mismatch=3\n"),
        _seed("trusted_networks = [::1]/128 10.0.0.1-10.0.0.9 !192.0.2.1 hash:/x\nlisten_addr = inet:127.0.0.1:25\n"),
        _seed(
            "delay = 300\nreject_msg = \"450 5.7.1 later\" # x\nrecipient_delimiter = 'none'\ngreylist_period = 5 min\n"
        ),
        _seed(b"# \xe4\nlog_file = ~/\xe4\nlog_file = $x ; y\ngreylist_header = Subject: %(date)s\n"),
        _seed(
            "dnswls = a.example*-2 : b.example\ndnswl_threshold = 9\n[recipients a]\nmatch = b@\nrfc_threshold = 99\n"
        ),
        _seed(
            "log_file = syslog:mail\n x\npid_file = None\ndbhost = a:5\n b\nmode = \u201cobserve\u201d\nworkers = 1;\n"
        ),
        b"greylist_period = 5\n[bley]\n",
        b"\xef\xbb\xbf[bley]\nlisten_port: 25\n[bleygraph]\ndestdir = x\n[other]\n",
        b"[bley]\nlog_file = \xff\n",
    ],
    finds={
        "NUL in the name of a list file": _seed("whitelist_clients_file = a\0b\n"),
        "NUL in the name of the password's file": _seed("web_password_file = a\0b\n"),
        "NUL in the name of the key's file": _seed("privacy = keyed-hash\nprivacy_key_file = a\0b\n"),
        "NUL in the folder of the key": _seed("privacy = keyed-hash\ndatabase = sqlite:///%00/x\n"),
        "NUL in the name of the store's password's file": _seed("dbpass_file = a\0b\n"),
        "control characters in the name of a section": b"[bley]\n[\x1b[2J]\n",
        "control characters in the name of a key": _seed("a\x1b[2Jb = 1\n"),
        "a value of two lines": _seed("log_file = a\n  b\n"),
        "a port with an underscore": _seed("resolver = 127.0.0.1:5_3\n"),
        "a port with a sign": _seed("resolver = 127.0.0.1:+53\n"),
        "a customer's key": _seed("dnsbls = bl.example.abcdefghijklmnopqrstuvwxyz\n"),
        "a zone that is no interface": _seed("resolver = [fe80::1%nope]:53\n"),
    },
    words=[
        *(name.encode() + b" = " for name in Settings.model_fields),
        b"[bley]\n",
        b"[recipients a]\nmatch = ",
        b"/^list-/, file:whitelist_recipients",
        b"%(wait)s",
        b"%%",
        b"\n  ",
        b"\0",
    ],
)
