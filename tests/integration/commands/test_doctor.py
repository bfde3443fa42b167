"""`bley doctor` on real set-ups: each fault has its reason and its remedy, and the exit status is the worst level."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from bley import __version__
from bley.commands.doctor.daemon import examine_daemon
from bley.settings.file import load
from tests.dns_server import DnsServer
from tests.free_ports import free_port
from tests.integration.nobody import NOBODY, as_nobody
from tests.integration.running_bley import Bley
from tests.integration.servers import reachable_folder
from tests.integration.warm_start import run_bley


def examine(bley: Bley, *options: str) -> tuple[int, list[dict[str, Any]]]:
    """Return the exit status, and all findings."""
    ran = run_bley(["doctor", "-c", bley.file, "--json", *options])
    assert not ran.stderr, ran.stderr
    document = json.loads(ran.stdout)
    assert document["version"] == __version__
    return ran.returncode, document["findings"]


def found(findings: list[dict[str, Any]], subject: str, level: str) -> list[str]:
    return [each["what"] for each in findings if each["subject"] == subject and each["level"] == level]


def test_a_running_bley_is_well_and_of_this_version(tmp_path: Path) -> None:
    with Bley(tmp_path, web_listen=f"127.0.0.1:{free_port()}") as bley:
        _, findings = examine(bley)
    assert found(findings, "daemon", "well") == [
        f"bley answers at {bley.places[0]}",
        f"it runs version {__version__}, as this command",
    ]
    assert len(found(findings, "store", "well")) == 2
    assert found(findings, "ports", "well")
    assert not found(findings, "rights", "warning")


def test_the_examination_stores_nothing(tmp_path: Path) -> None:
    with Bley(tmp_path) as bley:
        examine(bley)
        assert "reason=" not in bley.log().replace("reason=not-rcpt", "")
    assert bley.run("export").endswith("\n0 records exported\n")


def test_a_bley_that_does_not_run_is_a_fault_with_its_remedy(tmp_path: Path) -> None:
    status, findings = examine(Bley(tmp_path))
    [fault] = [each for each in findings if each["subject"] == "daemon"]
    assert (status, fault["level"]) == (2, "fault")
    assert fault["remedy"] == "systemctl restart bley && journalctl -u bley -n 20"
    assert fault["why"]


def test_every_fault_of_the_settings_is_a_finding(tmp_path: Path) -> None:
    bley = Bley(tmp_path, listen_port="many", greylist_period="long")
    status, findings = examine(bley)
    assert status == 2
    assert len(found(findings, "settings", "fault")) == 2


def test_quiet_shows_only_lines_that_need_action(tmp_path: Path) -> None:
    ran = run_bley(["doctor", "-q", "-c", Bley(tmp_path).file])
    assert b"well" not in ran.stdout
    assert b"FAULT    daemon    no answer from 127.0.0.1:" in ran.stdout
    assert b"\n                   why: " in ran.stdout
    assert b"\n                   do:  systemctl restart bley" in ran.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_rights_of_secrets_and_of_the_files_that_bley_reads() -> None:
    with reachable_folder() as folder:
        bley = Bley(folder, {"whitelist_clients": "192.0.2.1\n"})
        folder.joinpath("bley.db").touch(mode=0o644)
        for name in ("bley.db", "."):
            os.chown(folder / name, NOBODY, NOBODY)
        folder.joinpath("whitelist_clients").chmod(0o600)
        bley.file.chmod(0o644)
        _, findings = examine(bley)
    assert found(findings, "rights", "warning") == [f"every user may read {folder}/bley.db, mode 0644"]
    [fault] = [each for each in findings if each["subject"] == "rights" and each["level"] == "fault"]
    assert fault["what"] == f"user nobody, as whom bley runs, may not read {folder}/whitelist_clients"
    assert fault["remedy"].endswith(f"chmod g+r {folder}/whitelist_clients")


def test_each_place_must_answer_and_a_mode_without_delays_is_noted(tmp_path: Path) -> None:
    """While bley runs, its second socket is removed, as a clean-up of /run may do."""
    places = f"127.0.0.1, unix:{tmp_path}/s"
    with Bley(tmp_path, listen_addr=places, mode="observe") as bley:
        tmp_path.joinpath("s").unlink()
        status, findings = examine(bley)
    assert status == 2
    assert found(findings, "daemon", "well") == [f"bley answers at {bley.places[0]}"]
    [fault] = found(findings, "daemon", "fault")
    assert fault.startswith(f"no answer from unix:{tmp_path}/s: No such file or directory")
    assert found(findings, "settings", "note")[0].startswith("mode = observe: bley delays no mail")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_socket_without_the_right_to_connect_needs_another_user_and_no_restart(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    configuration = load()
    shown = as_nobody(lambda: repr([*examine_daemon(configuration, [f"unix:{tmp_path}/s"])]))
    assert f"no answer from unix:{tmp_path}/s: Permission denied; run this command as root" in shown
    assert "'whether bley answers is not known', remedy='sudo bley doctor'" in shown


def test_a_list_file_that_every_user_may_write_is_a_warning(tmp_path: Path) -> None:
    bley = Bley(tmp_path, {"whitelist_senders": "a@example.com\n"})
    tmp_path.joinpath("whitelist_senders").chmod(0o646)
    _, findings = examine(bley)
    [warning] = [each for each in findings if each["what"].startswith("every user may write to ")]
    assert warning["remedy"] == f"chmod o-w {tmp_path}/whitelist_senders"


def test_a_remedy_names_settings_that_are_not_the_default(tmp_path: Path) -> None:
    with DnsServer({}) as dns:
        bley = Bley(tmp_path, dnsbls="bl.example", resolver=dns.address)
        _, findings = examine(bley)
    [ill] = [each for each in findings if each["subject"] == "lists" and each["level"] == "warning"]
    assert ill["remedy"] == f"bley lists -c {bley.file} --test bl.example"
