"""Reading bley.conf and its list files: all of it right, or every fault with file and line."""

import shutil
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest

from bley import config_file
from bley.config import Settings, show
from bley.config_file import find_file, load
from bley.core.dnslists import parse_dns_lists
from bley.core.errors import SettingsError

CONFIGS = Path(__file__).parent.parent / "configs"
SOMEWHERE = ip_address("203.0.113.99")


def _write(folder: Path, **files: str) -> Path:
    """Write bley.conf, `bley` without its section, and list files into `folder`."""
    for name, text in files.items():
        if name != "bley":
            (folder / name).write_text(text, encoding="utf-8")
    file = folder / "bley.conf"
    file.write_text("[bley]\n" + files.get("bley", ""), encoding="utf-8")
    return file


def test_every_wrong_configuration_has_its_message() -> None:
    """And the other way round; the one that is right is bley2.conf."""
    configurations = {path.stem for path in CONFIGS.glob("*.conf")}
    assert {path.stem for path in CONFIGS.glob("*.expected")} == configurations - {"bley2"}


@pytest.mark.parametrize("name", sorted(path.stem for path in CONFIGS.glob("*.expected")))
def test_wrong_configuration(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All its faults are named, exactly as NAME.expected says, and in that order."""
    monkeypatch.chdir(CONFIGS)
    with pytest.raises(SettingsError) as caught:
        load(Path(f"{name}.conf"))
    assert f"{caught.value}\n" == Path(f"{name}.expected").read_text(encoding="utf-8")


def test_configuration_of_bley_2() -> None:
    """Every key of bley 2 works and means the same."""
    configuration = load(CONFIGS / "bley2.conf")
    assert configuration.settings == Settings(
        listen_addr=("127.0.0.1", "::1"),
        listen_port=1337,
        pid_file="/run/bley/bley.pid",
        log_file="/var/log/bley/bley.log",
        reject_msg="greylisted for %(wait)s s (%(reason)s), 100%% sure",
        dbtype="sqlite3",
        dbhost="localhost",
        dbname="bley.db",
        dbpath="/var/lib/bley",
        dbuser="bley",
        dbpass="50%(off)s; #1",  # a percent sign stopped the start
        dnsbls=parse_dns_lists("ix.dnsbl.manitu.net zen.spamhaus.org bl.spamcop.net"),
        dnswls=parse_dns_lists("list.dnswl.org"),
        dnswl_threshold=1,
        dnsbl_threshold=2,
        rfc_threshold=3,
        greylist_period=timedelta(minutes=29),
        greylist_max=timedelta(minutes=720),
        greylist_penalty=timedelta(minutes=10),
        purge_days=timedelta(days=40),
        purge_bad_days=timedelta(days=10),
        cache_valid=timedelta(seconds=60),
        use_spf=True,
        use_spf_guess=False,
        exim_workaround=False,
        whitelist_recipients_file=("./bley2.recipients",),
        whitelist_clients_file=("bley2.clients",),
        whitelist_senders_file=("bley2.senders", "bley2.more-senders"),
        ipv4_prefix=24,
        ipv6_prefix=48,
    )
    assert configuration.notes == ()


def test_list_files_of_bley_2() -> None:
    """They stand beside the settings file; what exempts is told with its place."""
    configuration = load(CONFIGS / "bley2.conf")
    found = [
        configuration.recipients.find("abuse@example.org"),
        configuration.recipients.find("abuse@example.com"),
        configuration.recipients.find("jane@example.net"),
        configuration.clients.find(ip_address("192.168.1.9"), ""),
        configuration.clients.find(SOMEWHERE, "o1.sg.example.com"),
        configuration.senders.find("jane@example.org"),
        configuration.senders.find("list@example.com"),
    ]
    assert found == [
        f"{CONFIGS}/bley2.recipients:1:abuse@example.org",
        "built-in:2:abuse@",
        f"{CONFIGS}/bley2.recipients:2:example.net",
        f"{CONFIGS}/bley2.clients:1:192.168.1",
        f"{CONFIGS}/bley2.clients:3:/^o\\d+\\.sg\\./",
        f"{CONFIGS}/bley2.senders:1:Jane@Example.org",
        f"{CONFIGS}/bley2.more-senders:1:list@",
    ]
    assert configuration.recipients.find("jane@example.org") is None


def test_without_a_file_the_defaults_hold() -> None:
    configuration = load()
    assert configuration.file is None
    assert configuration.settings == Settings()
    assert configuration.clients.find(SOMEWHERE, "mx.example.com") is None
    assert configuration.notes == ()


@pytest.mark.parametrize("recipient", ["postmaster@example.org", "Abuse@example.net", "postmaster"])
def test_who_must_get_through_always_does(recipient: str) -> None:
    """RFC 5321 4.5.1: postmaster is never greylisted, list files or not."""
    entry = load().recipients.find(recipient)
    assert entry is not None
    assert entry.startswith("built-in:")


def test_default_list_files_are_read_where_they_are(tmp_path: Path) -> None:
    """None of them need be there, as long as nobody names it."""
    configuration = load(_write(tmp_path, whitelist_clients="mx.example.com\n"))
    assert configuration.clients.find(SOMEWHERE, "mx.example.com") == f"{tmp_path}/whitelist_clients:1:mx.example.com"
    assert configuration.senders.find("jane@example.org") is None


def test_absolute_list_file(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "list").write_text("example.org\n", encoding="utf-8")
    configuration = load(_write(tmp_path, bley=f"whitelist_senders_file = {tmp_path}/elsewhere/list"))
    assert configuration.senders.find("jane@example.org") == f"{tmp_path}/elsewhere/list:1:example.org"


def test_list_files_named_by_an_empty_setting(tmp_path: Path) -> None:
    """None, even if the default one is there."""
    file = _write(tmp_path, bley="whitelist_clients_file =\n", whitelist_clients="mx.example.com\n")
    assert load(file).clients.find(SOMEWHERE, "mx.example.com") is None


def test_settings_of_later_versions_are_noted(tmp_path: Path) -> None:
    """Nothing is wrong with them, but the operator should know that they do nothing yet."""
    file = _write(tmp_path, bley="log_days = 30\n\nweb_listen = 127.0.0.1:1338\n")
    assert load(file).notes == (
        f"{file}:4: web_listen has no effect in this version",
        f"{file}:2: log_days has no effect in this version",
    )


def test_what_is_turned_off_is_not_noted(tmp_path: Path) -> None:
    assert load(_write(tmp_path, bley="web_listen =\n")).notes == ()


def test_settings_of_the_command_line_come_first(tmp_path: Path) -> None:
    configuration = load(_write(tmp_path, bley="log_file = /var/log/bley.log\nmode = observe\n"))
    overridden = configuration.overridden({"log_file": "-"})
    assert (overridden.settings.log_file, overridden.settings.mode) == ("-", "observe")
    assert configuration.settings.log_file == "/var/log/bley.log"
    assert overridden.recipients is configuration.recipients


@pytest.mark.parametrize(("name", "why"), [("no-such.conf", "No such file or directory"), (".", "Is a directory")])
def test_file_that_cannot_be_read(name: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path / name)
    assert str(caught.value) == f"{tmp_path / name}: cannot be read: {why}"


def test_wrong_password_is_not_shown(tmp_path: Path) -> None:
    """A fault of another setting does not bring it to the screen either."""
    with pytest.raises(SettingsError) as caught:
        load(_write(tmp_path, bley="dbpass = secret\nlisten_port = x\n"))
    assert "secret" not in str(caught.value)


def test_file_given_is_the_file(tmp_path: Path) -> None:
    assert find_file(tmp_path / "any.conf") == tmp_path / "any.conf"


def test_first_default_file_that_exists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """/etc/bley/bley.conf, then ./bley.conf; if there is none, the defaults hold."""
    assert (Path("/etc/bley/bley.conf"), Path("bley.conf")) == config_file.DEFAULT_FILES
    defaults = (tmp_path / "etc.conf", tmp_path / "bley.conf")
    monkeypatch.setattr(config_file, "DEFAULT_FILES", defaults)
    assert find_file(None) is None
    for file in reversed(defaults):
        file.touch()
        assert find_file(None) == file


def test_what_is_shown_loads_back(tmp_path: Path) -> None:
    """All but the password, which is not shown."""
    for file in CONFIGS.glob("bley2.*"):
        shutil.copy(file, tmp_path)
    settings = load(tmp_path / "bley2.conf").settings
    shown = tmp_path / "shown.conf"
    shown.write_text(show(settings), encoding="utf-8")
    assert load(shown).settings == settings.model_copy(update={"dbpass": "********"})


def test_shown_defaults_load_back(tmp_path: Path) -> None:
    """Also where there are no list files: to show the settings must not make them be missed."""
    shown = tmp_path / "shown.conf"
    shown.write_text(show(Settings()), encoding="utf-8")
    assert load(shown).settings == Settings()
