"""A unix socket for a real Postfix in its chroot, as Debian has it: the documented recipes, and the wrong set-ups."""

import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.free_ports import free_port
from tests.integration.daemon.test_systemd import PASSING
from tests.integration.postfix import Postfix
from tests.integration.running_bley import Bley, request_options
from tests.integration.servers import Reply, reachable_folder

UNIT = Path(__file__).parents[2] / "contrib" / "bley.socket"
DEFERRED = Reply(450, "4.7.1 <b@example.org>: Recipient address rejected: greylisted, try again later")
BAD = {"client_address": "198.51.100.7", "helo_name": "friend"}
POSTMASTER = request_options(client_address="192.0.2.1", recipient="postmaster@example.org")


def rcpt(postfix: Postfix) -> Reply:
    with postfix.session(**BAD) as smtp:  # type: ignore[arg-type]
        [reply] = smtp.send("a@example.com", ["b@example.org"])
    return reply


@contextmanager
def opened_by_systemd(postfix: Postfix) -> Iterator[socket.socket]:
    """Open the socket of contrib/bley.socket in this Postfix's queue folder, as systemd does."""
    text = UNIT.read_text(encoding="utf-8")
    unit = dict(re.findall(r"(?m)^(\w+)=(.+)", text))
    [file] = re.findall("(?m)^ListenStream=(/.+)", text)
    path = postfix.queue / Path(file).relative_to("/var/spool/postfix")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        shutil.chown(path, unit["SocketUser"])
        path.chmod(int(unit["SocketMode"], 8))
        listener.listen()
        yield listener


@contextmanager
def serving(bley: Bley, listener: socket.socket) -> Iterator[None]:
    """Run bley at the socket that systemd passes."""
    command = [sys.executable, "-c", PASSING, str(listener.fileno()), "-m", "bley", "serve", "-c", str(bley.file)]
    with subprocess.Popen(command, pass_fds=[listener.fileno()], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert any(f"listens on unix:{listener.getsockname()}, store" in line for line in process.stdout)
            yield
        finally:
            process.terminate()
    assert process.returncode == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_the_socket_of_the_unit_serves_before_and_after_a_restart_of_bley(tmp_path: Path, workers: int) -> None:
    """bley leaves systemd's socket where it is, and a session that Postfix had open goes on."""
    bley = Bley(tmp_path, workers=workers)
    with (
        Postfix("unix:private/bley", has_chroot=True) as postfix,
        opened_by_systemd(postfix) as listener,
        postfix.session(**BAD) as smtp,  # type: ignore[arg-type]
    ):
        for _ in range(2):
            with serving(bley, listener):
                assert smtp.send("a@example.com", ["b@example.org"]) == [DEFERRED]
            assert postfix.queue.joinpath("private/bley").is_socket()
        assert "warning: connect" not in postfix.log()


@pytest.mark.parametrize("workers", [1, 2])
def test_ask_finds_the_socket_of_the_unit(tmp_path: Path, workers: int) -> None:
    """The running bley names it at web_listen, since listen_addr does not; `--at` names it as well."""
    bley = Bley(tmp_path, web_listen=f"127.0.0.1:{free_port()}", workers=workers)
    with (
        Postfix("unix:private/bley", has_chroot=True) as postfix,
        opened_by_systemd(postfix) as listener,
        serving(bley, listener),
    ):
        assert bley.run("ask", *POSTMASTER) == "action=DUNNO\n"
        assert bley.run("ask", f"--at=unix:{listener.getsockname()}", *POSTMASTER) == "action=DUNNO\n"
        bley.write_settings(web_listen="")
        assert "name its socket: --at unix:PATH" in bley.run("ask", *POSTMASTER, status=1)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_socket_with_listen_group_serves_before_and_after_a_restart_of_bley(tmp_path: Path, workers: int) -> None:
    """Without systemd, in a folder of the queue; Postfix connects to the new socket."""
    with Postfix("unix:bley/policy", has_chroot=True) as postfix, postfix.session(**BAD) as smtp:  # type: ignore[arg-type]
        path = postfix.queue / "bley" / "policy"
        path.parent.mkdir()
        bley = Bley(tmp_path, listen_addr=f"unix:{path}", listen_group="postfix", workers=workers)
        for _ in range(2):
            with bley:
                assert (path.group(), path.stat().st_mode & 0o777) == ("postfix", 0o660)
                assert smtp.send("a@example.com", ["b@example.org"]) == [DEFERRED]
            assert not path.exists()
        assert "warning: connect" not in postfix.log()


@pytest.mark.parametrize(
    ("place", "service", "why"),
    [
        ("{folder}/bley.sock", "unix:{folder}/bley.sock", "No such file or directory"),
        ("{queue}/bley.sock", "unix:bley.sock", "Permission denied"),
        ("{queue}/other.sock", "unix:bley.sock", "No such file or directory"),
    ],
    ids=["outside the chroot", "0660 without a group", "another name"],
)
def test_a_wrong_set_up_passes_all_mail_with_this_line(tmp_path: Path, place: str, service: str, why: str) -> None:
    """The README says which line to look for, since `default_action=DUNNO` passes all mail; bley itself has warned."""
    with reachable_folder() as folder, Postfix(service.format(folder=folder), has_chroot=True) as postfix:
        with Bley(tmp_path, listen_addr=f"unix:{place.format(folder=folder, queue=postfix.queue)}") as bley:
            assert rcpt(postfix).code == 250
            name = service.format(folder=folder).removeprefix("unix:")
            assert postfix.wait_log("warning: connect to").endswith(f"warning: connect to {name}: {why}")
        assert bley.decisions() == []
        assert "do not let user postfix connect: set listen_group = postfix" in bley.log()


def test_without_bley_the_socket_of_a_dead_one_is_named_too(tmp_path: Path) -> None:
    with Postfix("unix:private/bley", has_chroot=True) as postfix:
        with opened_by_systemd(postfix):
            pass
        assert rcpt(postfix).code == 250
        assert postfix.wait_log("warning: connect to").endswith("warning: connect to private/bley: Connection refused")
