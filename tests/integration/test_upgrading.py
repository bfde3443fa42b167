"""The document about upgrading from bley 2, step by step, and its table of all settings of bley 2.

bley 2 itself cannot be installed any more: its settings file and database are made here.
"""

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

from bley.settings.file import load
from bley.settings.settings import Settings, show_values
from tests.integration.document_steps import DocumentSteps, read_steps
from tests.integration.running_bley import Bley
from tests.integration.test_taking_over import SCHEMA, asker, rows

DOCUMENT = Path(__file__).parents[2] / "docs/upgrading-from-bley-2.md"

BLEY2 = {
    "listen_addr": "127.0.0.1",
    "listen_port": "1337",
    "pid_file": "bley.pid",
    "log_file": "bley.log",
    "reject_msg": "greylisted, try again later",
    "greylist_header": "X-Greylist: delayed %(delta)s seconds by bley-%(version)s at %(hostname)s; %(date)s",
    "dbtype": "sqlite3",
    "dbhost": "localhost",
    "dbport": "0",
    "dbname": "bley.db",
    "dbpath": "",
    "dbuser": "bley",
    "dbpass": "bley",
    "whitelist_recipients_file": "./whitelist_recipients",
    "whitelist_clients_file": "./whitelist_clients",
    "dnsbls": "zen.spamhaus.org",
    "dnswls": "list.dnswl.org",
    "dnswl_threshold": "1",
    "dnsbl_threshold": "1",
    "rfc_threshold": "2",
    "greylist_period": "29",
    "greylist_max": "720",
    "greylist_penalty": "10",
    "purge_days": "40",
    "purge_bad_days": "10",
    "use_spf": "1",
    "use_spf_guess": "0",
    "exim_workaround": "false",
    "cache_valid": "60",
    "subnet_mask_v4": "32",
    "subnet_mask_v6": "128",
    "destdir": "stats",
}
"""All keys of bley 2, with their defaults."""

NEW_NAMES = {"subnet_mask_v4": "ipv4_prefix", "subnet_mask_v6": "ipv6_prefix"}


def table() -> dict[str, list[str]]:
    """Return the columns `bley 2` and `bley 3` of each key, without marks; empty for none."""
    cells = [line.strip("| ").split(" | ") for line in DOCUMENT.read_text().splitlines() if line.startswith("| `")]
    return {cell[0].strip("`"): [text.strip("`").replace("none", "") for text in cell[1:3]] for cell in cells}


def shown(texts: dict[str, str]) -> dict[str, str]:
    """Return these settings as `check-config` shows them."""
    settings = Settings.model_validate({NEW_NAMES.get(key, key): text for key, text in texts.items()})
    return show_values(dict(settings))


def test_every_setting_of_bley_2_is_documented_with_both_defaults() -> None:
    documented = table()
    assert {key: old for key, (old, _) in documented.items()} == BLEY2
    new = {key: BLEY2[key] if text == "the same" else text for key, (_, text) in documented.items()}
    defaults = shown({})
    for key, text in new.items():
        name = NEW_NAMES.get(key, key)
        assert shown({key: text})[name] == defaults[name], key


def test_a_settings_file_with_every_key_of_bley_2_has_no_fault(tmp_path: Path) -> None:
    """Nothing is worth a warning either, but its dead lists."""
    for name in ("whitelist_recipients", "whitelist_clients"):
        tmp_path.joinpath(name).write_text("192.0.2.200/30\nexample.net\n" if "clients" in name else "postmaster@\n")
    file = tmp_path / "bley.conf"
    *own, destdir = [f"{key} = {text}\n" for key, text in BLEY2.items()]
    file.write_text("[bley]\n" + "".join(own) + "[bleygraph]\n" + destdir)
    configuration = load(file)
    assert configuration.warnings == ()
    assert configuration.settings.destdir == "stats"
    dead = ["ix.dnsbl.manitu.net", "dnsbl.ahbl.org", "dnsbl.sorbs.net"]
    file.write_text(f"[bley]\ndnsbls = {', '.join(dead)}, zen.spamhaus.org\n")
    for name, warning in zip(dead, load(file).warnings, strict=True):
        assert name in DOCUMENT.read_text()
        assert f"{name} has been dead since" in warning


def test_known_mail_is_not_delayed_and_waiting_mail_waits_on(tmp_path: Path) -> None:
    """The steps, with the defaults of bley 2 but for its lists and port; nothing is lost on the way back."""
    old = tmp_path / "bley.db"
    with closing(sqlite3.connect(old)) as database, database:
        database.execute(SCHEMA)
        inserted = "INSERT INTO bley_status VALUES (?, ?, ?, ?, ?, ?)"
        database.executemany(inserted, rows(datetime.now()))  # noqa: DTZ005 (local, as bley 2's)
    # While bley 2 runs, nothing listens here yet.
    ours = {"listen_port", "dnsbls", "dnswls", "dbpath", "log_file", "cache_valid", "use_spf", "destdir", "pid_file"}
    lists = {"whitelist_recipients": "", "whitelist_clients": ""}
    bley = Bley(tmp_path, lists, **{key: text for key, text in BLEY2.items() if key not in ours})
    try:
        services = {"systemctl stop bley": lambda: None, "systemctl start bley": bley.start}
        steps = DocumentSteps(bley, places={"/var/lib/bley": tmp_path}, services=services)
        for step in read_steps(DOCUMENT):
            steps.take(step)
        assert "took over 5 records of bley 2" in bley.log()
        ask = asker(bley)
        answers = [ask(f"{name}@example.com").split()[0] for name in ("clean", "trusted", "waited", "waiting")]
        assert answers == ["action=DUNNO", "action=DUNNO", "action=PREPEND", "action=DEFER_IF_PERMIT"]
        assert [decision["reason"] for decision in bley.decisions(at_least=4)][-1] == "early"
    finally:
        bley.stop()
    with closing(sqlite3.connect(f"{old}.bley-2")) as copy, closing(sqlite3.connect(old)) as database:
        everything = "SELECT * FROM bley_status"
        assert copy.execute(everything).fetchall() == database.execute(everything).fetchall()


def test_the_settings_nearest_to_bley_2_load(tmp_path: Path) -> None:
    (step,) = read_steps(DOCUMENT, "Settings")
    file = tmp_path / "bley.conf"
    file.write_text(step.text)
    configuration = load(file)
    assert configuration.warnings == ()
    new = show_values(dict(configuration.settings))
    for key in ("greylist_period", "greylist_penalty", "greylist_max", "rfc_threshold", "cache_valid"):
        assert new[key] == shown({key: BLEY2[key]})[key]
    assert new["scores"] == "bley2"
