"""Any text in `bley.conf` is refused with its line, or is shown as a file that means the same."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bley.core.errors import SettingsError
from bley.settings.file import load
from bley.settings.settings import Settings, show

_PLAIN = [
    *("pid_file", "log_file", "reject_msg", "greylist_header", "dbhost", "dbname", "dbpath", "dbuser", "dbtls_ca"),
    *("recipient_delimiter", "privacy_key_file", "web_tls_cert", "destdir", "listen_addr"),
]
_LISTS = ["trusted_networks", "web_hosts", "web_proxy", "resolver", "dnsbls", "dnswls", "scores"]
_DURATIONS = ["greylist_period", "greylist_max", "cache_valid", "purge_days", "log_days", "check_timeout"]
_NUMBERS = ["listen_port", "listen_mode", "workers", "rfc_threshold", "ipv4_prefix", "cache_size", "use_spf", "dbport"]

_lines = st.text(st.sampled_from("ab.:/%;#=[]()s'\"\\ \t\x0b\x1b\x85\u2028\u202e\0ü1"), max_size=12)
_texts = st.lists(_lines, min_size=1, max_size=3).map("\n    ".join)
_words = st.sampled_from(
    [
        *("192.0.2.1/24", "::ffff:192.0.2.0/120", "2001:db8::/32", "a.example", "b.example=127.0.0.[2..11]*2"),
        *("c.example=127.0.0.[1;4]*-3", "192.0.2.53:5353", "[2001:db8::1]:53", "helo-mismatch=3", "bley2"),
    ]
)
_lists = st.lists(_words, max_size=3).flatmap(
    lambda words: st.sampled_from([", ", " ", "\n    ", ",\n\t"]).map(lambda between: between.join(words))
)
_durations = st.tuples(st.decimals("0", "400", places=7).map(str), st.sampled_from(["", "s", "m", "h", "d"])).map(
    "".join
)
_numbers = st.integers(-1, 1100).map(str) | st.sampled_from(["0660", "0777", "yes", "off", "255.255.255.0"])
_settings = st.dictionaries(st.sampled_from(_PLAIN), _texts) | st.one_of(
    *(
        st.dictionaries(st.sampled_from(keys), texts, max_size=3)
        for keys, texts in ((_LISTS, _lists), (_DURATIONS, _durations), (_NUMBERS, _numbers))
    )
)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("settings") / "bley.conf"


def _load(file: Path, text: str) -> Settings | SettingsError:
    file.write_text(text, encoding="utf-8", newline="")
    try:
        return load(file).settings
    except SettingsError as error:
        return error


@given(settings=_settings)
@example(settings={"destdir": "a\n    b\n\n    c"})
@example(settings={"destdir": "=%(x)s;y #z"})
@example(settings={"greylist_max": "10.0000000d"})
@example(settings={"dnsbls": "a.example,\n\tb.example=127.0.0.[2..11]*2"})
def test_what_is_shown_loads_to_the_same(file: Path, settings: dict[str, str]) -> None:
    loaded = _load(file, "[bley]\n" + "".join(f"{key} = {value}\n" for key, value in settings.items()))
    if isinstance(loaded, SettingsError):
        assert loaded.faults
        assert all(fault.file == str(file) and fault.line for fault in loaded.faults)
        assert str(loaded).replace("\n", "").isprintable()
    else:
        assert _load(file, show(loaded)) == loaded


@given(st.text() | st.lists(_lines, max_size=6).map("\n".join).map("[bley]\n{}".format))
def test_any_text_is_settings_or_has_faults(file: Path, text: str) -> None:
    """No text that a fault quotes can control a terminal."""
    loaded = _load(file, text.encode("utf-8", "replace").decode())
    assert isinstance(loaded, Settings) or str(loaded).replace("\n", "").isprintable()
