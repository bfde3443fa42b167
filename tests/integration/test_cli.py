"""The commands an administrator types."""

import socket
import subprocess
from pathlib import Path
from threading import Thread

import pytest

from bley.commands.build import described_version
from bley.settings.settings import Settings
from tests.dns_server import DnsServer
from tests.free_ports import free_port
from tests.integration.running_bley import BLEY, Bley, request_options
from tests.integration.warm_start import run_bley

BAD = {
    "client_address": "198.51.100.7",
    "helo_name": "friend",
    "sender": "a@example.com",
    "recipient": "b+news@example.org",
}


def test_ask_shows_the_answer(tmp_path: Path) -> None:
    with Bley(tmp_path) as bley:
        assert bley.ask(**BAD) == "action=DEFER_IF_PERMIT greylisted, try again later"
        assert bley.ask(**BAD | {"sasl_username": "jane"}) == "action=DUNNO"


def test_ask_by_unix_socket(tmp_path: Path) -> None:
    with Bley(tmp_path, listen_addr=f"unix:{tmp_path}/s") as bley:
        assert bley.run("ask", *request_options(recipient="postmaster@example.org")) == "action=DUNNO\n"


@pytest.mark.parametrize("address", ["127.0.0.1", "unix:/nowhere/bley.sock"])
def test_ask_says_when_nobody_listens(tmp_path: Path, address: str) -> None:
    bley = Bley(tmp_path, listen_addr=address, listen_port=free_port())
    assert "is bley running?" in bley.run("ask", *request_options(**BAD), status=1)


def test_explain_shows_every_step_and_stores_nothing(tmp_path: Path) -> None:
    listed = {"A": ["127.0.0.4"], "TXT": ["see\\007 http://bl.example/"]}
    entries = {"2.0.0.127.bl.example": {"A": ["127.0.0.2"]}, "2.0.0.127.wl.example": {"A": ["127.0.0.2"]}}
    with DnsServer({"7.100.51.198.bl.example": listed, **entries}) as dns:
        settings = {
            "dnsbls": "bl.example*3",
            "dnswls": "wl.example",
            "check_names": "1",
            "use_spf": "1",
            "resolver": dns.address,
        }
        bley = Bley(tmp_path, **settings)
        explained = bley.run("explain", *request_options(**BAD))
    assert explained.splitlines() == [
        "request     unknown [198.51.100.7], HELO friend, from <a@example.com> to <b+news@example.org>",
        "triplet     client 198.51.100.0/24, sender <a@example.com>, recipient <b@example.org>",
        f"store       {tmp_path}/bley.db: no record",
        "standing    new",
        "helo        2  friend is not the client's name, which is unknown",
        "dyn         0  no name, so none that looks dynamic",
        "s_eq_r      0  sender is another",
        "spf         -  not asked: it could not change the verdict",
        "dnsbl       3  bl.example lists it: 127.0.0.4 (weight 3)",
        "                 it says: see\\x5c007 http://bl.example/",
        "dnswl       0  wl.example does not list it",
        "others      1  client-has-no-name: 198.51.100.7 has no PTR record",
        "            1  helo-not-fqdn: friend has no domain",
        (
            "            0  helo-looks-dynamic, client-name-unverified, helo-bare-address, helo-is-local, "
            "helo-claims-us, generic-name, serial-name, service-sender"
        ),
        "sum         4  without dnsbl and dnswl",
        "thresholds  dnswl 1, dnsbl 1, sum 2",
        "verdict     defer, reason dnsbl; a retry passes after 300 s",
        "answer      action=DEFER_IF_PERMIT greylisted, try again later",
    ]
    assert not tmp_path.joinpath("bley.db").exists()


def test_explain_knows_what_the_store_knows(tmp_path: Path) -> None:
    with Bley(tmp_path) as bley:
        bley.ask(**BAD)
        explained = bley.run("explain", *request_options(**BAD))
        assert "bley.db: greylisted, first seen 20" in explained
        assert "verdict     defer, reason early; a retry passes after " in explained
        assert "bley.db: greylisted" in bley.run("explain", *request_options(**BAD)), "the first has changed nothing"
        bley.ask(**BAD | {"client_address": "192.0.2.1", "client_name": "x.example", "helo_name": "x.example"})
        known = BAD | {"client_address": "192.0.2.1", "client_name": "x.example"}
        assert "verdict     pass, reason known" in bley.run("explain", *request_options(**known))


def test_explain_says_when_a_mail_to_oneself_does_not_count(tmp_path: Path) -> None:
    request = {"client_name": "mx.example.com", "helo_name": "mail.example.com", "sender": "b@example.org"}
    explained = Bley(tmp_path).run("explain", *request_options(**BAD | request | {"recipient": "b@example.org"}))
    assert "s_eq_r      1  sender is recipient\n" in explained
    assert "sum         1  without dnsbl and dnswl; s_eq_r counts only with a finding about the client" in explained
    assert "verdict     pass, reason clean" in explained


def test_explain_of_an_exempt_recipient_names_the_entry(tmp_path: Path) -> None:
    explained = Bley(tmp_path).run("explain", *request_options(**BAD | {"recipient": "abuse@example.org"}))
    assert "verdict     pass, reason exempt-recipient (built-in:2:abuse@)" in explained


def test_explain_of_a_waited_triplet_shows_the_header(tmp_path: Path) -> None:
    with Bley(tmp_path, greylist_period="0s") as bley:
        bley.ask(**BAD)
        explained = bley.run("explain", *request_options(**BAD))
    assert "verdict     pass, reason waited; delayed for " in explained
    assert "answer      action=PREPEND X-Greylist: delayed " in explained


def test_explain_says_when_the_store_cannot_be_read(tmp_path: Path) -> None:
    bley = Bley(tmp_path)
    tmp_path.joinpath("bley.db").write_bytes(b"this is no database, " * 100)
    explained = bley.run("explain", *request_options(**BAD))
    assert "bley.db: file is not a database" in explained
    assert "verdict     pass, by on_store_error" in explained


def test_check_config_prints_all_settings(tmp_path: Path) -> None:
    bley = Bley(tmp_path, dbpass="100% secret", greylist_period="90s")
    printed = bley.run("check-config")
    assert "greylist_period = 90s\n" in printed
    assert "secret" not in printed
    for key in Settings.model_fields:
        assert f"\n{key} =" in printed


def test_check_config_without_a_file_prints_the_defaults(tmp_path: Path) -> None:
    ran = subprocess.run([*BLEY, "check-config"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("# no settings file: the defaults\n[bley]\nlisten_addr = 127.0.0.1\n")


@pytest.mark.parametrize("command", ["check-config", "serve", "ask", "explain"])
def test_wrong_settings_end_with_status_2(tmp_path: Path, command: str) -> None:
    bley = Bley(tmp_path, greylist_perod="5m", use_spf="maybe")
    printed = bley.run(command, status=2)
    assert f"{bley.file}:" in printed
    assert "unknown key 'greylist_perod', did you mean 'greylist_period'?" in printed
    assert "use_spf = maybe: is neither 1 nor 0 (yes, no, true, false, on, off)" in printed


def test_a_settings_file_that_is_not_there(tmp_path: Path) -> None:
    bley = Bley(tmp_path)
    bley.file.unlink()
    assert bley.run("check-config", status=2) == f"{bley.file}: cannot be read: No such file or directory\n"


@pytest.mark.parametrize("words", [["-c", "one", "-c", "two"], ["-c", "one", "why", "-c", "two", "x"]])
def test_several_settings_files_are_refused(words: list[str]) -> None:
    """bley 2 merged them, and its unit on Debian had two."""
    ran = run_bley(words)
    assert ran.returncode == 2
    assert b"Error: -c is given more than once: write the settings of two into one\n" in ran.stderr


def test_help_and_version(tmp_path: Path) -> None:
    for word in ("-h", "--help"):
        assert "check-config" in subprocess.run([*BLEY, word], capture_output=True, text=True, check=True).stdout
    version = subprocess.run([*BLEY, "--version"], capture_output=True, text=True, check=True).stdout
    assert version == f"bley, version {described_version()}\n"


def test_help_is_a_command_too() -> None:
    assert run_bley(["help"]).stdout == run_bley(["--help"]).stdout
    assert run_bley(["help", "why"]).stdout == run_bley(["why", "--help"]).stdout != b""
    assert run_bley(["help", "wyh"]).returncode == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["dokter"], "No such command 'dokter'. Did you mean doctor?"),
        (["lis"], "No such command 'lis'. Did you mean list or lists?"),
        (["help", "wyh"], "No such command 'wyh'. Did you mean why?"),
        (["zzz"], "No such command 'zzz'."),
        (["stats", "--sinc", "7d"], "'--since'?"),
        (["list", "--status", "wait"], "'wait' is not one of 'waiting', 'known', 'clean', 'trusted', 'relation'."),
    ],
)
def test_a_misspelled_word_is_an_error_with_the_similar_ones(words: list[str], said: str) -> None:
    ran = run_bley(words)
    assert ran.returncode == 2
    assert said in ran.stderr.decode()


def test_ask_says_when_it_is_not_answered(tmp_path: Path) -> None:
    """A peer that closes without an answer is no bley, or one that did not understand."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        bley = Bley(tmp_path, listen_port=listener.getsockname()[1])
        closing = Thread(target=lambda: listener.accept()[0].close())
        closing.start()
        printed = bley.run("ask", *request_options(recipient="b@example.org"), status=1)
        closing.join()
    assert printed.startswith(("Error: bley closed the connection without an answer", "Error: bley has not answered"))
