"""contrib/bley.service and contrib/bley.socket under a real systemd, as an administrator uses them."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from bley.core.mail import Request
from bley.core.wire import encode_request
from tests.integration.running_bley import DEFAULTS, WAIT_SECONDS
from tests.integration.systemd_machine import PROJECT, Machine

UNITS = ("bley.service", "bley.socket", "bley-report.service", "bley-report.timer")
SETTINGS = DEFAULTS | {"dbpath": "/var/lib/bley", "web_listen": "127.0.0.1:1338"}
MAIN_CF = """compatibility_level = 3.6
myhostname = mail.example.org
mydestination = mail.example.org
inet_interfaces = loopback-only
alias_maps =
local_recipient_maps =
mail_spool_directory = /var/mail/
recipient_delimiter = +
maillog_file = /var/log/postfix.log
"""
POSTFIX_SOCKET = "/var/spool/postfix/private/bley"
GREYLISTED = "action=DEFER_IF_PERMIT greylisted, try again later"
STRANGER = Request(client_address="192.0.2.1", helo_name="friend", sender="a@b.de", recipient="b@example.org")


def settings(**changed: object) -> str:
    lines = (f"{key} = {value}\n" for key, value in (SETTINGS | changed).items())
    return f"[bley]\n{''.join(lines)}"


@pytest.fixture(scope="module")
def booted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    units = {f"/etc/systemd/system/{name}": (PROJECT / "contrib" / name).read_text() for name in UNITS}
    files = {"/etc/bley/bley.conf": settings(), "/etc/postfix/main.cf": MAIN_CF}
    with Machine(tmp_path_factory.mktemp("systemd"), units | files) as machine:
        machine.run("systemctl", "enable", "bley")
        yield machine


@pytest.fixture
def machine(booted: Machine) -> Iterator[Machine]:
    """The machine with the units and settings of each test."""
    configure(booted)
    yield booted
    print(booted.journal()[-5000:])
    booted.run("systemctl", "disable", "--now", "bley.socket")
    booted.run("systemctl", "stop", "bley")


def configure(machine: Machine, unit: str = "", /, **changed: object) -> None:
    """Write the drop-in of the unit, and settings that only bley's group may read."""
    folder = machine.path("/etc/systemd/system/bley.service.d")
    folder.mkdir(exist_ok=True)
    folder.joinpath("override.conf").write_text(f"[Service]\n{unit}\n")
    machine.path("/etc/bley/bley.conf").write_text(settings(**changed))
    machine.run("chgrp", "-R", "bley", "/etc/bley")
    machine.path("/etc/bley/bley.conf").chmod(0o640)
    machine.run("systemctl", "daemon-reload")


def restart(machine: Machine, unit: str = "", /, **changed: object) -> None:
    configure(machine, unit, **changed)
    machine.run("systemctl", "restart", "bley")


def fails(machine: Machine, **changed: object) -> str:
    """Return the last fault of a bley that does not start."""
    configure(machine, **changed)
    machine.run("systemctl", "restart", "bley", status=1)
    faults = re.findall(r"(?m)^(?:\w+|/\S+): .*", machine.journal())
    return str(faults[-1])


def ask(machine: Machine, place: str = "127.0.0.1:1337") -> str:
    """Return the answer to a stranger's request."""
    program = "import socket, sys\n"
    if place.startswith("/"):
        program += f"peer = socket.socket(socket.AF_UNIX); peer.connect({str(machine.path(place))!r})\n"
    else:
        host, _, port = place.rpartition(":")
        program += f"peer = socket.create_connection(({host!r}, {port}))\n"
    program += f"peer.sendall({encode_request(STRANGER)!r}); print(peer.recv(1000).decode())"
    return machine.run(sys.executable, "-I", "-c", program, within=("-n",))


def status(machine: Machine) -> str:
    return machine.show("StatusText")[0]


def wait_status(machine: Machine, text: str) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while text not in status(machine):
        assert time.monotonic() < end, status(machine)
        time.sleep(0.1)


def test_it_starts_answers_reloads_and_stops(machine: Machine) -> None:
    """`systemctl status` shows the sockets and the store, and whether the last reload failed."""
    restart(machine)
    assert ask(machine) == GREYLISTED
    told = "listens on 127.0.0.1:1337, store /var/lib/bley/bley.db"
    assert status(machine) == told
    configure(machine, reject_message="x")
    machine.run("systemctl", "reload", "bley")
    wait_status(machine, "not reloaded, so the old settings stay: see the log")
    configure(machine, reject_msg="come back")
    machine.run("systemctl", "reload", "bley")
    wait_status(machine, told)
    assert ask(machine) == "action=DEFER_IF_PERMIT come back"
    machine.run("systemctl", "stop", "bley")
    assert machine.show("Result", "ExecMainStatus", "NRestarts") == ["success", "0", "0"]


def test_the_restrictions_forbid_no_setting_of_the_documentation(machine: Machine) -> None:
    """Workers, a log file, the pid file, a unix socket and its group, list files anywhere, a privacy key, the web."""
    machine.path("/srv/lists").mkdir(parents=True, exist_ok=True)
    machine.path("/srv/lists/clients").write_text("192.0.2.99\n")
    machine.run("usermod", "--append", "--groups", "postfix", "bley")
    restart(
        machine,
        workers=2,
        dbname="hashed.db",
        log_file="/var/log/bley/bley.log",
        pid_file="/run/bley/bley.pid",
        listen_addr="127.0.0.1, ::1, unix:/run/bley/policy",
        listen_group="postfix",
        privacy="keyed-hash",
        whitelist_clients_file="/srv/lists/clients",
    )
    assert ask(machine) == ask(machine, "::1:1337") == GREYLISTED
    assert ask(machine, "/run/bley/policy") == GREYLISTED
    assert machine.path("/run/bley/policy").group() == "postfix"
    assert "action=greylist" in machine.path("/var/log/bley/bley.log").read_text()
    assert machine.path("/run/bley/bley.pid").read_text().strip() == machine.show("MainPID")[0]
    for sink in ("syslog", "journald"):
        restart(machine, log_file=sink)
        assert ask(machine) == GREYLISTED


def test_what_they_forbid_is_named_with_the_line_that_permits_it(machine: Machine) -> None:
    writable = "the unit may write below /var/lib/bley, /var/log/bley, /run/bley; run `systemctl edit bley`"
    assert fails(machine, log_file="/srv/bley.log") == (
        f"log_file: /srv/bley.log cannot be opened: Read-only file system: {writable}: ReadWritePaths=/srv"
    )
    assert fails(machine, listen_addr="unix:/srv/policy").endswith(f"{writable}: ReadWritePaths=/srv")
    machine.path("/root/clients").write_text("192.0.2.99\n")
    assert fails(machine, whitelist_clients_file="/root/clients") == (
        "/root/clients: cannot be read: Permission denied. The unit of systemd hides /root: move the file, or "
        "run `systemctl edit bley`: ProtectHome=read-only"
    )
    assert fails(machine, listen_port=337).endswith("systemd opens a port below 1024 for bley, by bley.socket")
    machine.run("install", "-d", "-o", "bley", "/srv/bley")
    restart(machine, dbpath="/srv/bley", listen_addr="127.0.0.1, unix:/tmp/policy")
    assert "listen_addr: /tmp/policy: systemd gives bley a /tmp of its own (PrivateTmp)" in machine.journal()
    assert f"/srv/bley is read-only: {writable}: ReadWritePaths=/srv/bley" in machine.journal()
    restart(machine, "ReadWritePaths=/srv/bley", dbpath="/srv/bley")
    assert ask(machine) == GREYLISTED


def test_a_bley_that_hangs_is_killed_and_started_again(machine: Machine) -> None:
    restart(machine, "WatchdogSec=2\nRestartSec=100ms")
    machine.run("kill", "-STOP", *machine.show("MainPID"))
    end = time.monotonic() + WAIT_SECONDS
    while machine.show("NRestarts", "ActiveState") != ["1", "active"]:
        assert time.monotonic() < end, machine.journal()
        time.sleep(0.1)
    assert ask(machine) == GREYLISTED


def test_it_is_started_again_until_its_address_is_free(machine: Machine) -> None:
    """Invalid settings (exit status 2) fail at once; an address in use (1) is retried without end."""
    configure(machine, reject_message="x")
    machine.run("systemctl", "restart", "bley", status=1)
    assert machine.show("ActiveState", "ExecMainStatus", "NRestarts") == ["failed", "2", "0"]
    holder = "import socket; s = socket.create_server(('127.0.0.1', 1337)); print(1, flush=True); s.accept()"
    command = ["nsenter", "-t", str(machine.init), "-n", sys.executable, "-I", "-c", holder]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holding:
        assert holding.stdout
        holding.stdout.readline()
        configure(machine, "RestartSec=100ms")
        machine.run("systemctl", "restart", "bley", status=1)
        end = time.monotonic() + WAIT_SECONDS
        while int(machine.show("NRestarts")[0]) < 2:
            assert time.monotonic() < end, machine.journal()
            time.sleep(0.1)
        holding.kill()
    machine.wait("active")
    assert ask(machine) == GREYLISTED


@pytest.mark.parametrize("workers", [1, 2])
def test_no_request_is_lost_while_it_restarts(machine: Machine, workers: int) -> None:
    """Requests wait in the sockets of systemd; those in flight, half read ones included, are answered before."""
    configure(machine, workers=workers)
    machine.run("systemctl", "stop", "bley")
    machine.run("systemctl", "enable", "--now", "bley.socket")
    machine.run("systemctl", "start", "bley")
    assert status(machine).startswith(f"listens on 127.0.0.1:1337, unix:{POSTFIX_SOCKET}, store")
    assert machine.path(POSTFIX_SOCKET).stat().st_mode & 0o777 == 0o600
    places = ["127.0.0.1:1337", str(machine.path(POSTFIX_SOCKET))]
    command = ["nsenter", "-t", str(machine.init), "-n", sys.executable, "-m", "tests.integration.policy_load", "200"]
    with subprocess.Popen(
        [*command, *places], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=PROJECT
    ) as load:
        for _ in range(2 if workers == 1 else 1):
            time.sleep(1)
            machine.run("systemctl", "restart", "bley")
        time.sleep(1)
        told, _ = load.communicate()
    answers, *lost = told.splitlines()
    assert lost == []
    assert int(answers) > 100


def test_a_request_does_not_start_it_for_ever(machine: Machine) -> None:
    """After some starts that fail, the sockets are closed; they open again when it starts."""
    configure(machine, reject_message="x")
    machine.run("systemctl", "stop", "bley")
    machine.run("systemctl", "enable", "--now", "bley.socket")
    asking = "import socket; s = socket.create_connection(('127.0.0.1', 1337)); s.sendall(b'a=b\\n'); s.recv(1)"
    machine.run(sys.executable, "-c", asking, status=1, within=("-n",))
    machine.wait("failed", "bley.socket")
    assert machine.show("Result", unit="bley.socket") == ["trigger-limit-hit"]
    restart(machine)
    assert ask(machine, POSTFIX_SOCKET) == GREYLISTED
    assert machine.show("ActiveState", unit="bley.socket") == ["active"]


def test_passwords_and_keys_may_be_credentials(machine: Machine) -> None:
    """Root's files with mode 0600. While the unit runs, commands can read the copies; afterwards they say why not."""
    key = machine.path("/etc/bley/privacy.key")
    key.write_text("01" * 32)
    place = "/run/credentials/bley.service/privacy.key"
    hashed = {"dbname": "credential.db", "privacy": "keyed-hash", "privacy_key_file": place}
    configure(machine, "LoadCredential=privacy.key:/etc/bley/privacy.key", **hashed)
    key.chmod(0o600)
    machine.run("chown", "root:root", "/etc/bley/privacy.key")
    machine.run("systemctl", "restart", "bley")
    assert ask(machine) == GREYLISTED
    for user in ("root", "bley"):
        machine.run("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "bley", "stats")
    machine.run("systemctl", "stop", "bley")
    assert machine.run("bley", "stats", status=2) == (
        f"privacy_key_file: {place} cannot be read: No such file or directory: systemd creates it while bley.service "
        "runs, if bley.service has LoadCredential=privacy.key:FILE"
    )


def test_it_is_there_after_a_reboot(machine: Machine) -> None:
    """With its sockets, its records, and no network but the loopback."""
    machine.run("systemctl", "enable", "--now", "bley.socket")
    machine.run("systemctl", "start", "bley")
    assert ask(machine) == GREYLISTED
    machine.reboot()
    assert machine.show("ActiveState", unit="bley.socket") == ["active"]
    assert ask(machine) == GREYLISTED
    assert machine.show("NRestarts") == ["0"]
    assert "b@example.org" in machine.run("bley", "list")


def test_the_report_arrives_by_a_real_postfix(machine: Machine) -> None:
    """The rights of its unit are enough for the store of bley's user, and for sendmail; a drop-in names the recipient.

    The timer runs it every week.
    """
    restart(machine)
    machine.run("postfix", "start")
    try:
        dropin = machine.path("/etc/systemd/system/bley-report.service.d")
        dropin.mkdir()
        dropin.joinpath("override.conf").write_text("[Service]\nEnvironment=RECIPIENT=root+report@mail.example.org\n")
        machine.run("systemctl", "daemon-reload")
        machine.run("systemctl", "start", "bley-report.service")
        folder = machine.path("/var/mail/root/new")
        end = time.monotonic() + WAIT_SECONDS
        while not (folder.is_dir() and list(folder.iterdir())):
            assert time.monotonic() < end, machine.path("/var/log/postfix.log").read_text()
            time.sleep(0.1)
        [mail] = folder.iterdir()
        assert re.search(r"(?m)^Subject: bley on \S+, 7 d", mail.read_text())
        assert "Delivered-To: root+report@mail.example.org" in mail.read_text()
    finally:
        machine.run("postfix", "stop")
    machine.run("systemctl", "enable", "--now", "bley-report.timer")
    assert "bley-report.service" in machine.run("systemctl", "list-timers", "--no-pager")
    machine.run("systemctl", "disable", "--now", "bley-report.timer")
