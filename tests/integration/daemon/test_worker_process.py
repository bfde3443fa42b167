"""A worker that speaks nonsense, as its supervisor sees it. Whole workers are in test_workers.py."""

import asyncio
import signal
import subprocess
import sys

import pytest

from bley.daemon import worker_process
from bley.daemon.channel import Assignment, Done
from bley.daemon.worker_process import WorkerGoneError, WorkerProcess
from bley.settings.file import load

_WRITING = """
import pickle, socket, sys, time
from bley.daemon.channel import Done
sock = socket.socket(fileno=int(sys.argv[1]))
for message in (sys.argv[2].encode(), pickle.dumps(Done()), pickle.dumps(Done()))[int(sys.argv[2] == "answers"):]:
    sock.sendall(len(message).to_bytes(4) + message)
time.sleep(60)
"""


@pytest.mark.parametrize("said", ["2026-11-29T12:00:00Z bley[7]: hello", "answers"])
async def test_one_that_says_what_nobody_understands_is_killed(
    said: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Or answers what nobody has asked. Only it ends, not its supervisor."""

    def start(channel: int, *_: object, **__: object) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", _WRITING, str(channel), said], pass_fds=(channel,))

    monkeypatch.setattr(worker_process, "_start", start)
    worker = WorkerProcess(1, Assignment(load(), 20, (), purges=False), {}, lambda _: None)
    async with asyncio.timeout(30):
        if said == "answers":
            assert await worker.ready == Done()
        else:
            with pytest.raises(WorkerGoneError):
                await worker.ready
        assert await worker.ended == -signal.SIGKILL
    assert ": killing it" in caplog.text
