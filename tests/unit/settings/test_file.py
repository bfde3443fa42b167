"""Reading bley.conf and its list files: all of it right, or every fault with file and line."""

import os
import shutil
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest

from bley import operator_files
from bley.core.dnslists.lists import parse_dns_lists
from bley.core.errors import SettingsError
from bley.core.history.advice import ListFiles
from bley.settings import file as config_file
from bley.settings.file import find_file, load
from bley.settings.settings import Settings, show
from bley.settings.web_password import PasswordHash, hash_password, write_password_hash

CONFIGS = Path(__file__).parents[2] / "configs"
KEY = "AbcdefghiJ0123456789klmnoP"  # of a customer of Spamhaus
SOMEWHERE = ip_address("203.0.113.99")


def _write(folder: Path, **files: str) -> Path:
    """Write bley.conf, `bley` without its section, and list files into `folder`."""
    for name, text in files.items():
        if name != "bley":
            (folder / name).write_text(text, encoding="utf-8")
    file = folder / "bley.conf"
    file.write_text("[bley]\n" + files.get("bley", ""), encoding="utf-8")
    return file


def _fault(file: Path) -> str:
    """What is wrong with it."""
    with pytest.raises(SettingsError) as caught:
        load(file)
    return str(caught.value)


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
    """Every key of bley 2 works and means the same; of a list that has died since, the operator is told."""
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
        destdir="/var/www/bley",
    )
    (warning,) = configuration.warnings
    assert warning == (
        f"{CONFIGS}/bley2.conf:22: dnsbls: ix.dnsbl.manitu.net has been dead since 2025-01-16: "
        "it was emptied and closed by its operator; it is not queried: use zen.spamhaus.org instead"
    )


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
    assert configuration.warnings == ()


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


def test_where_exemptions_are_added(tmp_path: Path) -> None:
    """Next to the first file of each kind, by a command that names these settings unless they are the default ones."""
    bley = f"whitelist_clients_file = {tmp_path}/a/b\nwhitelist_senders_file =\n"
    tmp_path.joinpath("a").mkdir()
    tmp_path.joinpath("a", "b").touch()
    configuration = load(_write(tmp_path, bley=bley))
    assert configuration.list_files == ListFiles(
        f"{tmp_path}/a/whitelist_clients.local",
        f"{tmp_path}/whitelist_senders.local",
        f"{tmp_path}/whitelist_recipients.local",
        option=("-c", f"{tmp_path}/bley.conf"),
    )
    assert configuration.command("why", "a b") == f"bley why -c {tmp_path}/bley.conf 'a b'"
    for default in (None, Path("/etc/bley/bley.conf")):
        assert replace(configuration, file=default).command("lists", "--test") == "bley lists --test"


@pytest.mark.parametrize(
    ("text", "destdir"),
    [
        ("destdir = /var/www\n", "/var/www"),
        ("[bleygraph]\ndestdir = /var/www\ndays = 7\n", "/var/www"),
        ("destdir = /srv/www\n[bleygraph]\ndestdir = /var/www\n", "/srv/www"),
        ("[bleygraph]\n", ""),
        ("destdir =\nweb_listen =\n", ""),
    ],
)
def test_where_graphs_go_is_told_as_in_bley_2_too(tmp_path: Path, text: str, destdir: str) -> None:
    configuration = load(_write(tmp_path, bley=text))
    assert configuration.settings.destdir == destdir
    assert configuration.warnings == ()


def test_doubled_percent_signs_are_noted(tmp_path: Path) -> None:
    """bley 2 took them for one; in templates they still are."""
    file = _write(tmp_path, bley="reject_msg = 100%% sure\ndbpass = 50%%\ndbuser = 50%\n")
    configuration = load(file)
    assert configuration.settings.dbpass == "50%%"
    assert configuration.warnings == (
        f"{file}:3: dbpass has %%, which bley 2 read as one %: write one % if that is meant",
    )


def test_dead_lists_are_noted_with_line_and_alternative(tmp_path: Path) -> None:
    """All four default blocklists that bley ever had, and an allowlist; but no doubtful one. The settings keep them."""
    file = _write(
        tmp_path,
        bley="dnswls = list.dnswl.org, dnswl.inps.de\n"
        "dnsbls = ix.dnsbl.manitu.net*2, dnsbl.njabl.org,\n"
        "    dnsbl.ahbl.org, DNSBL.sorbs.net, hostkarma.junkemailfilter.com=127.0.0.2\n",
    )
    configuration = load(file)
    warnings = [each.removeprefix(f"{file}:").split(":")[:3] for each in configuration.warnings]
    assert warnings == [
        ["3", " dnsbls", " ix.dnsbl.manitu.net has been dead since 2025-01-16"],
        ["3", " dnsbls", " dnsbl.njabl.org has been dead since 2013-03-01"],
        ["3", " dnsbls", " dnsbl.ahbl.org has been dead since 2015-01-01"],
        ["3", " dnsbls", " dnsbl.sorbs.net has been dead since 2024-06-05"],
        ["2", " dnswls", " dnswl.inps.de has been dead since 2020-05-25"],
    ]
    assert configuration.warnings[2].endswith(
        ": it lists every address since its operator closed it; it is not queried: use zen.spamhaus.org instead"
    )
    assert configuration.warnings[4].endswith("; it is not queried: use list.dnswl.org instead")
    assert len(configuration.settings.dnsbls) == 5


@pytest.mark.parametrize(
    ("settings", "warning"),
    [
        ("listen_group = 0\n", "2: listen_group: has no effect: listen_addr names no unix:PATH"),
        (
            "listen_addr = unix:s\nlisten_mode = 0640\nlisten_group = 0\n",
            "3: listen_mode: 0640 lets the group 0 not connect: write 0660",
        ),
        ("listen_addr = unix:s\nlisten_group = 0\n", ""),
        ("listen_addr = unix:s\nlisten_mode = 0600\n", ""),
    ],
)
def test_a_group_that_cannot_connect_is_noted(tmp_path: Path, settings: str, warning: str) -> None:
    file = _write(tmp_path, bley=settings)
    assert load(file).warnings == ((f"{file}:{warning}",) if warning else ())


_PATHS = [
    *("pid_file", "log_file", "dbpath", "dbname", "dbpass_file", "dbtls_ca", "privacy_key_file", "destdir"),
    *("whitelist_clients_file", "whitelist_senders_file", "whitelist_recipients_file"),
    *("web_password_file", "web_tls_cert", "web_tls_key"),
]


@pytest.mark.parametrize("key", [*_PATHS, "listen_addr"])
@pytest.mark.parametrize(
    ("name", "shown", "why"),
    [
        ("a\0b", r"a\x00b", "has a NUL character"),
        ("x." * 128, "x." * 128, "is too long for a file"),
        ("a/" * 2048 + "b", "a/" * 2048 + "b", "is too long for a file"),
    ],
    ids=["NUL", "long", "deep"],
)
def test_a_name_that_no_file_can_have_is_refused_with_its_line(
    key: str, name: str, shown: str, why: str, tmp_path: Path
) -> None:
    before = "web_tls_cert = a\n" if key == "web_tls_key" else "\n"
    file = _write(tmp_path, bley=f"{before}{key} = {name}\n")
    assert _fault(file).startswith(f"{file}:3: {key} = {shown}: {why}")


@pytest.mark.parametrize(
    "database",
    [
        "sqlite:///%00/x",
        "sqlite:///" + "x." * 128,
        "mysql://bley@/bley?socket=/a%00b",
        "mysql://bley@h/a%00b",
        "pgsql://h/bley?tls=verify&ca=%00",
    ],
)
def test_a_database_that_no_file_can_be_is_refused_with_its_line(database: str, tmp_path: Path) -> None:
    file = _write(tmp_path, bley=f"database = {database}\n")
    assert _fault(file).startswith(f"{file}:2: database = {database}: ")


@pytest.mark.parametrize("key", [*_PATHS[-6:-3], "web_password_file", "dbpass_file"])
@pytest.mark.parametrize(
    ("name", "why"),
    [("fifo", "it is not a file"), ("/dev/zero", "it has more than 1 MB"), (".", "Is a directory")],
)
def test_what_never_ends_is_not_waited_for(
    key: str, name: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start, `check-config` and a reload would hang."""
    monkeypatch.setattr(operator_files, "LONGEST_FILE", 1 << 20)
    os.mkfifo(tmp_path / "fifo")
    assert why in _fault(_write(tmp_path, bley=f"{key} = {name}\n"))


@pytest.mark.parametrize("settings", ["database = sqlite:////dev/zero\n", "dbpath = /dev\ndbname = zero\n"])
def test_a_store_that_never_ends_is_refused(settings: str, tmp_path: Path) -> None:
    """SQLite would read a device for ever, and bley could not be stopped."""
    file = _write(tmp_path, bley=settings)
    key, line = ("database", 2) if settings.startswith("database") else ("dbname", 3)
    assert _fault(file) == f"{file}:{line}: {key}: /dev/zero is not a regular file"


@pytest.mark.parametrize("name", ["\x1b[2J", "a\u202eb", "\x9b1m", "\x07"])
def test_what_a_fault_quotes_commands_no_terminal(name: str, tmp_path: Path) -> None:
    """The name of a section or key, a value, and a line of a list file."""
    file = tmp_path / "bley.conf"
    begun = "[bley]\n"
    for text in (f"[{name}]\n", f"{begun}[{name}]\n", f"{begun}{name} = 1\n", f"{begun}workers = {name}\n", name):
        file.write_text(text, encoding="utf-8")
        assert _fault(file).isprintable()
    _write(tmp_path, bley="", whitelist_clients=f"a {name}\n")
    assert _fault(file).isprintable()
    assert "\\" in _fault(file)


class TestWebPassword:
    """`bley web-password` makes the file."""

    @staticmethod
    def _file(folder: Path, **settings: str) -> tuple[Path, PasswordHash]:
        password = hash_password("correct horse")
        write_password_hash(folder / "web", password)
        texts = {"web_password_file": "web"} | settings
        return _write(folder, bley="".join(f"{key} = {text}\n" for key, text in texts.items())), password

    def test_it_is_read_from_beside_the_settings_and_shown_nowhere(self, tmp_path: Path) -> None:
        file, password = self._file(tmp_path)
        configuration = load(file)
        assert configuration.web_password == password
        assert str(password) not in f"{configuration!r} {show(configuration.settings)}"
        assert configuration.warnings == ()

    def test_without_the_setting_nobody_is_asked_for_one(self, tmp_path: Path) -> None:
        assert load(_write(tmp_path)).web_password is None

    def test_in_the_clear_beyond_loopback_it_is_noted(self, tmp_path: Path) -> None:
        file, _ = self._file(tmp_path, web_listen="192.0.2.1:1338")
        [warning] = load(file).warnings
        assert warning == (
            f"{file}:3: web_listen: the password is sent over the network unencrypted: "
            "set web_tls_cert, or listen at a loopback address behind a reverse proxy with TLS"
        )

    def test_with_tls_it_is_not(self, tmp_path: Path) -> None:
        file, _ = self._file(tmp_path, web_listen="192.0.2.1:1338", web_tls_cert="cert.pem")
        assert load(file).warnings == ()


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


class TestPassword:
    """The store's, which need not stand in bley.conf."""

    @pytest.fixture(autouse=True)
    def _no_variable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("BLEY_DBPASS", raising=False)

    @pytest.mark.parametrize(
        ("bley", "variable", "password"),
        [
            pytest.param("", None, "", id="none"),
            pytest.param("dbpass = in-key\n", None, "in-key", id="key"),
            pytest.param("dbpass = in-key\n", "", "in-key", id="key, an empty variable"),
            pytest.param("", "in-variable", "in-variable", id="variable"),
            pytest.param("dbpass = in-key\n", "in-variable", "in-variable", id="variable before key"),
            pytest.param("dbpass_file = secret\n", None, "in-file", id="file"),
            pytest.param("dbpass_file = secret\n", "in-variable", "in-file", id="file before variable"),
            pytest.param(
                "database = postgresql://bley:in-url@h/n\ndbpass_file = secret\n",
                "in-variable",
                "in-url",
                id="URL first",
            ),
            pytest.param("database = postgresql://bley@h/n\ndbpass_file = secret\n", None, "in-file", id="URL, file"),
            pytest.param("database = postgresql://bley@h/n\n", "in-variable", "in-variable", id="URL, variable"),
            pytest.param("database = postgresql://bley@h/n\ndbpass = in-key\n", None, "in-key", id="URL, key"),
        ],
    )
    def test_the_nearest_counts(
        self, bley: str, variable: str | None, password: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """URL, file, environment, key, in this order."""
        if variable is not None:
            monkeypatch.setenv("BLEY_DBPASS", variable)
        assert load(_write(tmp_path, bley=bley, secret="in-file\n")).settings.store.password == password

    def test_without_a_settings_file_it_may_be_in_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("BLEY_DBPASS", "in-variable")
        assert load().settings.dbpass == "in-variable"

    @pytest.mark.parametrize(
        ("text", "password"),
        [
            ("secret\n", "secret"),
            ("secret\r\n", "secret"),
            ("secret", "secret"),
            pytest.param(" s e#c%r;et \n", " s e#c%r;et ", id="signs that bley.conf would take for others"),
            ("gehärtet\n", "gehärtet"),
            ("", ""),
            pytest.param("secret\nJohn changed it in May\n", "secret", id="its first line"),
        ],
    )
    def test_what_of_the_file_is_the_password(self, text: str, password: str, tmp_path: Path) -> None:
        file = _write(tmp_path, bley="dbpass_file = secret\n")
        (tmp_path / "secret").write_bytes(text.encode())
        assert load(file).settings.dbpass == password

    def test_the_file_stands_beside_the_settings_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir("/")
        assert load(_write(tmp_path, bley="dbpass_file = secret\n", secret="s")).settings.dbpass == "s"
        absolute = f"dbpass_file = {tmp_path}/secret\n"
        assert load(_write(tmp_path, bley=absolute)).settings.dbpass == "s"

    def test_a_file_that_is_missing(self, tmp_path: Path) -> None:
        file = _write(tmp_path, bley="\ndbpass_file = missing\n")
        place = tmp_path / "missing"
        assert _fault(file) == f"{file}:3: dbpass_file: {place} cannot be read: No such file or directory"

    def test_a_file_that_is_no_text(self, tmp_path: Path) -> None:
        file = _write(tmp_path, bley="dbpass_file = secret\n")
        (tmp_path / "secret").write_bytes(b"geheim\xff")
        assert _fault(file) == f"{file}:2: dbpass_file: {tmp_path}/secret is not UTF-8"

    def test_two_passwords(self, tmp_path: Path) -> None:
        file = _write(tmp_path, bley="dbpass = geheim\ndbpass_file = secret\n", secret="secret\n")
        assert _fault(file) == f"{file}:3: dbpass_file and dbpass both set the password: keep one"

    def test_it_is_in_nothing_that_is_shown(self, tmp_path: Path) -> None:
        file = _write(tmp_path, bley="dbtype = pgsql\ndbpass_file = secret\n", secret="geheim\n")
        configuration = load(file)
        assert configuration.settings.store.password == "geheim"
        shown = show(configuration.settings)
        assert "geheim" not in f"{configuration.settings.store!r} {shown}"

    @pytest.mark.parametrize(
        ("text", "fault"),
        [
            pytest.param(
                "database = oracle://bley:geheim@h/n",
                "database = oracle://bley:********@h/n: has an unknown scheme: "
                "write sqlite:///, postgresql://, mysql://, redis:// or rediss://",
                id="another kind",
            ),
            pytest.param(
                "database = bley:geheim@h/n",
                "database = ********: has an unknown scheme: "
                "write sqlite:///, postgresql://, mysql://, redis:// or rediss://",
                id="no URL",
            ),
            pytest.param(
                "database = postgresql://bley:geheim@h:x/n",
                "database = postgresql://bley:********@h:x/n: has an invalid host or port in 'h:x': "
                "write host:5432 or [2001:db8::1]:5432",
                id="wrong port",
            ),
            pytest.param(
                "database = redis://bley:geheim@h/n",
                "database = redis://bley:********@h/n: has an invalid number of a Redis database: write redis://host/0",
                id="Redis",
            ),
            pytest.param(
                "database = mysql://bley:gehe@im@h/n?ssl=on",
                "database = mysql://bley:********@h/n?ssl=on: has an unknown option ssl: "
                "the options are socket, tls and ca",
                id="option",
            ),
            pytest.param(
                "dbtype = redis\ndbpass = geheim\ndbname = bley",
                "dbname = bley: is not the number of a Redis database: write 0",
                id="name of a Redis database",
            ),
        ],
    )
    def test_it_is_in_no_fault(self, text: str, fault: str, tmp_path: Path) -> None:
        shown = _fault(_write(tmp_path, bley=text))
        assert shown.partition(": ")[2] == fault
        assert "geheim" not in shown

    @pytest.mark.parametrize("sign", ["@", ":", "/", "#", "?", "&", "[", "%", " ", ",", "\n  "], ids=ascii)
    @pytest.mark.parametrize("port", ["", ":x"])
    def test_however_awkward_it_is_nothing_shows_it(self, sign: str, port: str, tmp_path: Path) -> None:
        """The fault does not, and `bley check-config` neither; a value may go on in the next line."""
        file = _write(tmp_path, bley=f"database = postgresql://bley:geheim{sign}wort@h{port}/n")
        try:
            shown = show(load(file).settings)
        except SettingsError as error:
            shown = str(error)
        assert "geheim" not in shown
        assert "wort@" not in shown


class TestPrivacyKey:
    """Of `privacy = keyed-hash`."""

    def test_without_privacy_there_is_none(self, tmp_path: Path) -> None:
        configuration = load(_write(tmp_path, bley=f"dbpath = {tmp_path}\n"))
        assert configuration.privacy_key == configuration.triplet_rules.privacy_key == b""
        assert not (tmp_path / "bley.key").exists()

    def test_it_is_saved_beside_the_store_and_stays(self, tmp_path: Path) -> None:
        (tmp_path / "var").mkdir()
        file = _write(tmp_path, bley=f"privacy = keyed-hash\ndbpath = {tmp_path}/var\n")
        configuration = load(file)
        configuration.key.save()
        assert (tmp_path / "var" / "bley.key").read_text().strip() == configuration.privacy_key.hex()
        assert load(file).privacy_key == configuration.privacy_key
        assert configuration.triplet_rules.privacy_key == configuration.privacy_key

    def test_to_read_the_settings_makes_no_key(self, tmp_path: Path) -> None:
        """Only a store knows whether it needs another one."""
        file = _write(tmp_path, bley=f"privacy = keyed-hash\ndbpath = {tmp_path}\n")
        configuration = load(file)
        assert len(configuration.privacy_key) == 32
        assert not configuration.has_saved_key
        assert not (tmp_path / "bley.key").exists()

    def test_the_file_may_be_elsewhere(self, tmp_path: Path) -> None:
        file = _write(tmp_path, bley=f"privacy = keyed-hash\nprivacy_key_file = {tmp_path}/k\n", k="ab" * 32)
        assert load(file).privacy_key == b"\xab" * 32

    def test_the_triplets_rules_are_the_settings_otherwise(self, tmp_path: Path) -> None:
        file = _write(
            tmp_path, bley=f"privacy = keyed-hash\nprivacy_key_file = {tmp_path}/k\nipv4_prefix = 16\n", k="ab" * 32
        )
        configuration = load(file)
        assert replace(configuration.triplet_rules, privacy_key=b"") == configuration.settings.triplet_rules
        assert configuration.triplet_rules.ipv4_prefix == 16

    def test_a_wrong_one_is_a_fault(self, tmp_path: Path) -> None:
        file = _write(tmp_path, bley=f"privacy = keyed-hash\nprivacy_key_file = {tmp_path}/k\n", k="geheim")
        fault = _fault(file)
        assert "has no key: write 64 hexadecimal digits" in fault
        assert "geheim" not in fault

    def test_it_is_not_shown(self, tmp_path: Path) -> None:
        file = _write(tmp_path, bley=f"privacy = keyed-hash\nprivacy_key_file = {tmp_path}/k\n", k="ab" * 32)
        configuration = load(file)
        for key in ("abab", repr(configuration.privacy_key)[2:-1]):
            assert key not in f"{configuration!r} {show(configuration.settings)}"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param(
            f"dnsbls = {KEY}.zen.dq.spamhaus.net*x",
            "dnsbls: a weight from -99 to 99 belongs here\n"
            "    ********.zen.dq.spamhaus.net*x\n"
            "                                 ^",
            id="wrong list",
        ),
        pytest.param(
            f"dnsbls = {KEY}.zen.dq.spamhaus.net, {KEY}.zen.dq.spamhaus.net",
            "dnsbls: ********.zen.dq.spamhaus.net is here twice with the same filter: remove one\n"
            "    ********.zen.dq.spamhaus.net\n    ^",
            id="the same list twice",
        ),
        pytest.param(
            f"{KEY}.zen.dq.spamhaus.net",
            "'********.zen.dq.spamhaus.net' is not a setting: write key = value",
            id="line that is no setting",
        ),
        pytest.param(
            f"{KEY}.zen.dq.spamhaus.net=127.0.0.2",
            "unknown key '********.zen.dq.spamhaus.net': see docs/settings.md for all keys",
            id="unknown key",
        ),
        pytest.param(
            f"rfc_threshold = {KEY}.zen.dq.spamhaus.net",
            "rfc_threshold = ********.zen.dq.spamhaus.net: is not a whole number",
            id="value of another setting",
        ),
        pytest.param(
            f"resolver = {KEY}.zen.dq.spamhaus.net",
            "resolver = ********.zen.dq.spamhaus.net: '********.zen.dq.spamhaus.net' is not a server: "
            "write 192.0.2.1, 192.0.2.1:5353 or [2001:db8::1]:53",
            id="value that its fault repeats",
        ),
    ],
)
def test_key_of_a_list_is_no_part_of_a_fault(text: str, fault: str, tmp_path: Path) -> None:
    """Faults are logged, and shown to whom one asks for help; a caret stands under the place in what is shown."""
    file = _write(tmp_path, bley=text)
    with pytest.raises(SettingsError) as caught:
        load(file)
    assert str(caught.value) == f"{file}:2: {fault}"


def test_a_finding_that_scores_do_not_know_has_file_and_line(tmp_path: Path) -> None:
    file = _write(tmp_path, bley="rfc_threshold = 3\nscores = bley2,\n helo-claim-us=2")
    with pytest.raises(SettingsError) as caught:
        load(file)
    assert str(caught.value) == (
        f"{file}:3: scores = bley2,\nhelo-claim-us=2: has no finding 'helo-claim-us', did you mean 'helo-claims-us'?"
    )


def test_key_of_a_list_that_is_taken_for_a_key_of_the_file(tmp_path: Path) -> None:
    """Lists on lines of their own that are not indented."""
    file = _write(
        tmp_path, bley=f"dnsbls =\n{KEY}.zen.dq.spamhaus.net=127.0.0.2\n{KEY}.zen.dq.spamhaus.net=127.0.0.3\n"
    )
    with pytest.raises(SettingsError) as caught:
        load(file)
    assert str(caught.value) == (
        f"{file}:3: unknown key '********.zen.dq.spamhaus.net': see docs/settings.md for all keys\n"
        f"{file}:4: ********.zen.dq.spamhaus.net is set a second time: keep one"
    )


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("dbpass hunter2", "'dbpass ********' is not a setting: write key = value"),
        ('DB_PASS\t"hunter2 hunter2"', "'DB_PASS ********' is not a setting: write key = value"),
        ("dbpass hunter2=hunter2", "unknown key 'dbpass ********', did you mean 'dbpass'?"),
    ],
)
def test_a_password_without_an_equals_sign_is_not_shown(line: str, fault: str, tmp_path: Path) -> None:
    file = _write(tmp_path, bley=f"{line}\n")
    assert _fault(file) == f"{file}:2: {fault}"


def test_many_lines_with_faults_take_limited_time(tmp_path: Path) -> None:
    """Each second setting of a key takes another parse, so the faults of settings are shown after ten of them."""
    file = _write(tmp_path, bley="mode = off\n" * 50_000)
    with pytest.raises(SettingsError) as caught:
        load(file)
    assert [fault.line for fault in caught.value.faults] == list(range(3, 13))


def test_file_given_is_the_file(tmp_path: Path) -> None:
    assert find_file(tmp_path / "any.conf") == tmp_path / "any.conf"


def test_comments_may_have_any_encoding(tmp_path: Path) -> None:
    """Files of former times are in Latin-1."""
    file = tmp_path / "bley.conf"
    file.write_bytes(
        "[bley]\n# größer\n  ; Änderung\nlisten_port = 25\ndnsbls = a.example,\n# ä\n b.example\n".encode("latin-1")
    )
    configuration = load(file)
    assert configuration.settings.listen_port == 25
    assert len(configuration.settings.dnsbls) == 2


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


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("# Zürich\r\nmx.example.com ; Köln\r\n".encode("latin-1"), id="Latin-1 in comments"),
        pytest.param("# Zürich\r\nmx.example.com # Köln\r\n".encode("utf-16"), id="UTF-16 of a Windows editor"),
        pytest.param(b"\xef\xbb\xbfmx.example.com\tOK\r\n", id="UTF-8 with a byte order mark"),
    ],
)
def test_list_file_of_another_system(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "whitelist_clients").write_bytes(content)
    found = load(_write(tmp_path)).clients.find(SOMEWHERE, "mx.example.com")
    assert (found or "").endswith(":mx.example.com")


def test_list_file_that_breaks_off_in_a_character(tmp_path: Path) -> None:
    (tmp_path / "whitelist_clients").write_bytes("mx.example.com\n".encode("utf-16")[:-1])
    what = "is not UTF-16, as its byte order mark says: save it as UTF-8"
    assert _fault(_write(tmp_path)) == f"{tmp_path}/whitelist_clients: {what}"
