"""A bley that is forked from a process that has imported it behaves like one that was started."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.integration.running_bley import BLEY, Bley
from tests.integration.warm_start import run_bley, start_bley


@pytest.mark.parametrize(
    "arguments",
    [["--version"], ["check-config"], ["no-such"], ["export", "--wrong"], ["check-config", "-c", "/no/file"]],
)
def test_it_prints_and_ends_as_a_fresh_interpreter_does(arguments: list[str]) -> None:
    forked = run_bley(arguments)
    fresh = subprocess.run([*BLEY, *arguments], capture_output=True, check=False)
    said = [re.sub(rb"python -m bley", b"bley", text) for text in (fresh.stdout, fresh.stderr)]
    assert [forked.stdout, forked.stderr] == said
    assert forked.returncode == fresh.returncode


def test_it_has_the_given_environment_folder_and_input(tmp_path: Path) -> None:
    tmp_path.joinpath("bley.conf").write_text(f"[bley]\ndbpath = {tmp_path}\nlisten_port = none\n")
    ran = run_bley(["check-config", "-c", "bley.conf"], cwd=tmp_path, env={"PATH": os.environ["PATH"]})
    assert b"listen_port" in ran.stderr
    assert ran.returncode == 2
    ran = run_bley(["web-password", tmp_path / "web"], input=b"secret of this test\n")
    assert ran.returncode == 0, ran.stderr
    assert tmp_path.joinpath("web").exists()


def test_it_is_our_child_and_its_end_is_ours_to_see(tmp_path: Path) -> None:
    with Bley(tmp_path) as bley:
        assert Path(f"/proc/{bley.process.pid}/stat").read_text().rpartition(")")[2].split()[1] == str(os.getpid())
        assert bley.process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            bley.process.wait(0.01)
        bley.process.kill()
        assert bley.process.wait(15) == -signal.SIGKILL


def test_what_it_left_running_is_not_ours(tmp_path: Path) -> None:
    """A bley in the background is a child of init, which reaps it when it ends."""
    with Bley(tmp_path) as bley:
        pid = bley.process.pid
    assert not Path(f"/proc/{pid}").exists()
    Bley(tmp_path, pid_file=tmp_path / "pid", log_file=tmp_path / "bley.log")
    with tmp_path.joinpath("out").open("wb") as out:
        assert start_bley(["-c", tmp_path / "bley.conf"], stdout=out, stderr=out).wait(15) == 0
    pid = int(tmp_path.joinpath("pid").read_text())
    assert Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1] != str(os.getpid())
    os.kill(pid, signal.SIGTERM)
