"""`workers = N`: several processes answer at one address, are replaced when they die, and behave as one bley."""

import contextlib
import json
import operator
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bley.core.mail import Request
from bley.core.wire import encode_request
from tests.dns_server import SILENT, DnsServer, Silent
from tests.integration.daemon.test_daemon import BAD, DEFERRED, GOOD, exchange
from tests.integration.running_bley import BLEY, WAIT_SECONDS, Bley

DUNNO = b"action=DUNNO\n\n"
SLOW: Mapping[str, Silent | Mapping[str, Sequence[str]]] = {
    "2.0.0.127.bl.example": {"A": ["127.0.0.2"]},
    "1.2.0.192.bl.example": SILENT,
}
"""A healthy list that does not answer about GOOD's client."""


def workers(bley: Bley) -> list[int]:
    """Return the process ids of the workers, in the order of their starts."""
    pid = bley.process.pid
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def wait_until(is_so: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while not is_so():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Whether it runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def answering(bley: Bley) -> set[int]:
    """Return the processes that have logged decisions."""
    return set(map(int, re.findall(r"bley\[(\d+)\]: action=", bley.log())))


def listening(port: int) -> int:
    """Count the listening sockets at this port of 127.0.0.1."""
    place = f" 0100007F:{port:04X} 00000000:0000 0A "  # proc_pid_net(5); 0A is TCP_LISTEN
    return Path("/proc/net/tcp").read_text().count(place)


def fetch(bley: Bley, path: str) -> str:
    place = re.findall(r"metrics at (http://\S+)/metrics", bley.log())[-1]
    with urllib.request.urlopen(f"{place}{path}", timeout=WAIT_SECONDS) as answer:
        return str(answer.read().decode())


def decided(bley: Bley) -> float:
    """Return the number of decisions in the metrics."""
    families = text_string_to_metric_families(fetch(bley, "/metrics"))
    return sum(sample.value for family in families for sample in family.samples if "decisions" in sample.name)


def samples(bley: Bley, name: str) -> dict[str, float]:
    """Return the samples of this name in the metrics, by the values of their labels."""
    families = text_string_to_metric_families(fetch(bley, "/metrics"))
    found = (sample for family in families for sample in family.samples if sample.name == name)
    return {" ".join(sample.labels.values()): sample.value for sample in found}


def deferred_in_every_worker(bley: Bley) -> None:
    """Open connections, until each worker has had one."""
    asked = len(bley.decisions())

    def ask() -> bool:
        nonlocal asked
        assert exchange(bley.port, BAD) == DEFERRED
        asked += 1
        return set(workers(bley)) <= answering(bley)

    wait_until(ask, "one of the workers never answers")
    wait_until(lambda: len(bley.decisions()) == asked, "a decision is not logged")


@pytest.fixture
def bley(tmp_path: Path) -> Iterator[Bley]:
    """A bley with two workers."""
    with Bley(tmp_path, workers=2, web_listen="127.0.0.1:0", pid_file=tmp_path / "bley.pid") as bley:
        yield bley


def test_all_workers_answer_at_one_port_and_have_one_store(bley: Bley) -> None:
    """A triplet that one has deferred waits for all of them."""
    assert len(workers(bley)) == 2
    assert re.search(r"listens on 127\.0\.0\.1:\d+, store \S+, 2 workers\n", bley.log())
    deferred_in_every_worker(bley)
    reasons = [decision["reason"] for decision in bley.decisions()]
    assert reasons == ["new", *["early"] * (len(reasons) - 1)]
    assert bley.stop() == 0
    assert bley.log().endswith("stopped\n")
    assert bley.log().count("stopped") == 1


def test_who_has_waited_is_known_to_all(tmp_path: Path) -> None:
    with Bley(tmp_path, workers=2) as bley:
        assert exchange(bley.port, BAD) == DEFERRED
        bley.end_waits()
        assert exchange(bley.port, BAD).startswith(b"action=PREPEND")
        wait_until(lambda: "clean" in bley.run("export"), "that is stored")
        wait_until(
            lambda: exchange(bley.port, BAD) == DUNNO and set(workers(bley)) <= answering(bley), "only one answers"
        )
        assert {decision["reason"] for decision in bley.decisions()[2:]} == {"known"}


class TestMetrics:
    def test_they_are_sums_that_no_death_makes_smaller(self, bley: Bley) -> None:
        deferred_in_every_worker(bley)
        answered = len(bley.decisions())
        assert decided(bley) == answered
        for pid in workers(bley):
            os.kill(pid, signal.SIGKILL)
            assert decided(bley) >= answered
            bley.wait_log(rf"\(pid {pid}\) was killed by SIGKILL: restarting now(\n.*)*worker \d .* is ready")
        assert decided(bley) == answered
        assert sum(samples(bley, "bley_answer_seconds_count").values()) == answered
        assert samples(bley, "bley_store_transaction_seconds_count")["records"] >= answered
        deferred_in_every_worker(bley)
        assert decided(bley) == len(bley.decisions()) > answered

    def test_lists_are_told_for_all_workers_together(self, tmp_path: Path) -> None:
        """Answers of dead workers are still counted; `bley lists` shows the figures of /metrics."""
        zone = {f"{name}.bl.example": {"A": ["127.0.0.2"]} for name in ("2.0.0.127", "7.100.51.198")}
        with (
            DnsServer(zone) as dns,
            Bley(tmp_path, workers=2, web_listen="127.0.0.1:0", dnsbls="bl.example", resolver=dns.address) as bley,
        ):
            strangers = iter(range(1000))

            def ask() -> bool:
                exchange(bley.port, BAD._replace(sender=f"{next(strangers)}x@example.com"))
                return set(workers(bley)) <= answering(bley)

            wait_until(ask, "only one answers")
            count = next(strangers)
            os.kill(workers(bley)[0], signal.SIGKILL)
            bley.wait_log(r"worker \d \(pid \d+\) is ready")
            (report,) = json.loads(fetch(bley, "/lists"))
            assert report["answers"] == {"listed": count}
            assert f'bley_list_answers_total{{answer="listed",list="bl.example"}} {count}.0' in fetch(bley, "/metrics")
            wait_until(lambda: 'bley_list_well{ip="4",list="bl.example"} 1.0' in fetch(bley, "/metrics"), "not well")

    def test_what_stands_at_the_moment_is_the_sum_of_those_that_live(self, bley: Bley) -> None:
        with contextlib.ExitStack() as stack:
            for _ in range(20):
                peer = stack.enter_context(socket.create_connection(("127.0.0.1", bley.port), WAIT_SECONDS))
                peer.sendall(encode_request(BAD))
                assert peer.recv(4096) == DEFERRED
            assert samples(bley, "bley_connections") == {"": 20}
            assert samples(bley, "bley_connections_accepted_total") == {"": 20}
            first, _ = workers(bley)
            os.kill(first, signal.SIGKILL)
            bley.wait_log(r"worker \d \(pid \d+\) is ready")
            assert samples(bley, "bley_connections")[""] < 20
            assert samples(bley, "bley_connections_accepted_total") == {"": 20}
        wait_until(lambda: samples(bley, "bley_connections") == {"": 0}, "connections stay")

    def test_each_process_is_told_by_its_own_name(self, bley: Bley) -> None:
        """A replacement has the name of its predecessor."""
        began = samples(bley, "process_start_time_seconds")
        assert set(began) == {"main", "1", "2"}
        assert all(size > 10e6 for size in samples(bley, "process_resident_memory_bytes").values())
        time.sleep(0.02)  # more than the kernel's tick
        os.kill(workers(bley)[0], signal.SIGKILL)
        number = bley.wait_log(r"worker (\d) \(pid \d+\) is ready")[1]
        after = samples(bley, "process_start_time_seconds")
        assert {name for name, at in after.items() if at > began[name]} == {number}


class TestDeath:
    def test_it_is_replaced_and_connections_go_on(self, bley: Bley, tmp_path: Path) -> None:
        """The pid file names the supervisor all the time."""
        file = tmp_path / "bley.pid"
        assert file.read_text() == f"{bley.process.pid}\n"
        first, second = workers(bley)
        os.kill(first, signal.SIGTERM)
        bley.wait_log(rf"worker [12] \(pid {first}\) exited with status 0: restarting now")
        wait_until(lambda: len(workers(bley)) == 2, "it is not replaced")
        assert second in workers(bley)
        deferred_in_every_worker(bley)
        assert file.read_text() == f"{bley.process.pid}\n"
        assert bley.stop() == 0
        assert not file.exists()

    def test_who_waits_to_be_accepted_is_answered_by_the_next(self, bley: Bley) -> None:
        """Both workers are stopped, so that connections wait in the kernel; then they are killed."""
        before = workers(bley)
        for pid in before:
            os.kill(pid, signal.SIGSTOP)
        with contextlib.ExitStack() as stack, ThreadPoolExecutor() as threads:
            peers = [
                stack.enter_context(socket.create_connection(("127.0.0.1", bley.port), WAIT_SECONDS)) for _ in range(10)
            ]
            for peer in peers:
                peer.sendall(encode_request(BAD))
            for pid in before:
                os.kill(pid, signal.SIGKILL)
            assert list(threads.map(lambda peer: peer.recv(4096), peers)) == [DEFERRED] * 10
        assert not set(before) & set(workers(bley))

    def test_under_load_only_its_own_connections_are_lost(self, bley: Bley) -> None:
        """A peer that reconnects is answered, and no other peer is affected."""
        answered, lost = [0] * 20, [0] * 20
        stopping = threading.Event()

        def ask_on(number: int) -> None:
            request = encode_request(BAD._replace(sender=f"peer{number}x@example.com"))
            while not stopping.is_set():
                with socket.create_connection(("127.0.0.1", bley.port), WAIT_SECONDS) as peer:
                    try:
                        while not stopping.is_set():
                            peer.sendall(request)
                            if not (answer := peer.recv(4096)):
                                raise ConnectionResetError
                            assert answer == DEFERRED
                            answered[number] += 1
                            stopping.wait(0.005)
                    except ConnectionError:
                        lost[number] += 1

        def wait_for_more(asking: Sequence[Future[None]]) -> None:
            before = answered.copy()
            wait_until(
                lambda: any(each.done() for each in asking) or min(map(operator.sub, answered, before)) > 10,
                "one is not answered",
            )

        with ThreadPoolExecutor(20) as threads:
            asking = [threads.submit(ask_on, number) for number in range(20)]
            try:
                wait_for_more(asking)
                os.kill(workers(bley)[0], signal.SIGKILL)
                bley.wait_log(r"worker \d \(pid \d+\) is ready")
                wait_for_more(asking)
            finally:
                stopping.set()
            for each in asking:
                each.result()
        assert max(lost) == 1

    def test_one_that_dies_again_at_once_is_replaced_after_a_pause_and_others_get_its_connections(
        self, bley: Bley
    ) -> None:
        first, second = workers(bley)
        os.kill(first, signal.SIGKILL)
        replacement = bley.wait_log(r"worker \d \(pid (\d+)\) is ready")[1]
        os.kill(int(replacement), signal.SIGKILL)
        bley.wait_log("was killed by SIGKILL: restarting in 1 s")
        wait_until(lambda: listening(bley.port) == 1, "connections still wait for the dead one")
        bley.process.send_signal(signal.SIGSTOP)  # the pause lasts until the supervisor continues
        try:
            assert [exchange(bley.port, BAD) for _ in range(20)] == [DEFERRED] * 20
        finally:
            bley.process.send_signal(signal.SIGCONT)
        assert answering(bley) == {second}
        bley.wait_log(rf"worker \d \(pid (?!{replacement})\d+\) is ready")
        deferred_in_every_worker(bley)


class TestReload:
    def test_all_workers_and_those_that_replace_them_take_it(self, bley: Bley) -> None:
        """With invalid settings they all keep the old ones."""
        bley.write_settings(rfc_threshold="many")
        bley.reload()
        assert bley.log().count("not reloaded: the old settings stay") == 1
        first, second = workers(bley)
        os.kill(first, signal.SIGKILL)
        bley.wait_log(rf"\(pid {first}\) was killed by SIGKILL.*(\n.*)*worker \d .* is ready")
        deferred_in_every_worker(bley)
        bley.write_settings(rfc_threshold=2, reject_msg="come back", workers=3)
        bley.reload()
        assert "workers has changed: takes effect after a restart" in bley.log()
        assert bley.log().count(": reloaded\n") == 1
        os.kill(second, signal.SIGKILL)
        bley.wait_log(rf"\(pid {second}\) was killed by SIGKILL.*(\n.*)*worker \d .* is ready")
        come_back = b"action=DEFER_IF_PERMIT come back\n\n"
        wait_until(
            lambda: exchange(bley.port, BAD) == come_back and set(workers(bley)) <= answering(bley),
            "one of the workers never answers so",
        )


class TestStop:
    @pytest.mark.parametrize("to_all", [False, True], ids=["SIGTERM", "Ctrl-C"])
    def test_what_is_in_flight_is_finished(self, tmp_path: Path, *, to_all: bool) -> None:
        """As with one process, requests in flight are finished; Ctrl-C reaches every process of the terminal."""
        with DnsServer(SLOW) as dns:
            bley = Bley(tmp_path, workers=2, dnsbls="bl.example", resolver=dns.address, check_timeout="1s")
            with in_own_group(bley), socket.create_connection(("127.0.0.1", bley.port)) as peer:
                peer.sendall(encode_request(GOOD))
                wait_until(lambda: "1.2.0.192.bl.example" in str(dns.questions), "the DNS is not asked")
                if to_all:
                    os.killpg(bley.process.pid, signal.SIGINT)
                else:
                    bley.process.terminate()
                assert peer.recv(4096) == DUNNO
                assert peer.recv(4096) == b""
                assert bley.process.wait(WAIT_SECONDS) == 0
        assert bley.log().endswith("stopped\n")
        assert "Traceback" not in bley.log()
        assert "restarting" not in bley.log()

    @pytest.mark.parametrize("seconds", [0.0, 0.4, 0.8])
    def test_ctrl_c_during_the_start_leaves_nothing_behind(self, tmp_path: Path, seconds: float) -> None:
        bley = Bley(tmp_path, workers=2)
        temporary = tmp_path / "tmp"
        temporary.mkdir()
        with subprocess.Popen(
            [*BLEY, "serve", "-c", bley.file],
            start_new_session=True,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env=os.environ | {"TMPDIR": str(temporary)},
            text=True,
        ) as process:
            wait_until(lambda: any(temporary.iterdir()), "it does not start")
            time.sleep(seconds)
            os.killpg(process.pid, signal.SIGINT)
            _, errors = process.communicate(timeout=WAIT_SECONDS)
        assert (process.returncode, errors) == (0, "")
        assert not list(temporary.iterdir())

    def test_workers_whose_supervisor_was_killed_end_and_take_its_files_away(self, tmp_path: Path) -> None:
        """Requests in flight are finished."""
        with DnsServer(SLOW) as dns:
            bley = Bley(tmp_path, workers=2, dnsbls="bl.example", resolver=dns.address, check_timeout="1s")
            with bley, socket.create_connection(("127.0.0.1", bley.port)) as peer:
                before = workers(bley)
                environment = Path(f"/proc/{before[0]}/environ").read_text()
                folder = re.findall(r"PROMETHEUS_MULTIPROC_DIR=([^\0]+)", environment)[0]
                peer.sendall(encode_request(GOOD))
                wait_until(lambda: "1.2.0.192.bl.example" in str(dns.questions), "the DNS is not asked")
                bley.stop(signal.SIGKILL)
                assert peer.recv(4096) == DUNNO
                wait_until(lambda: not any(map(is_alive, before)), "they live on")
                assert not Path(folder).exists()
                assert "Traceback" not in bley.log()
                bley.start()
                assert exchange(bley.port, BAD) == DEFERRED


@contextlib.contextmanager
def in_own_group(bley: Bley) -> Iterator[None]:
    """Run a bley that a terminal's Ctrl-C could reach without the tests."""
    with bley._log_file.open("ab") as log:
        bley.process = subprocess.Popen(
            [*BLEY, "serve", "-c", bley.file], stdout=log, stderr=log, start_new_session=True
        )
    bley.port = int(bley.wait_log(r"listens on \S+:(\d+), store")[1])
    try:
        yield
    finally:
        bley.process.kill()
        bley.process.wait()


class TestPlaces:
    def test_a_port_in_use_prevents_the_start(self, bley: Bley) -> None:
        """The port belongs to another bley that shares it among its workers; the same holds for web_listen."""
        bley.write_settings(listen_port=bley.port)
        said = bley.run("serve", status=1)
        assert said.startswith("listen_addr: cannot listen at 127.0.0.1: Address already in use: by ")
        place = re.findall(r"metrics at http://(\S+)/metrics", bley.log())[-1]
        bley.write_settings(listen_port=0, web_listen=place)
        assert "web_listen: cannot listen at" in bley.run("serve", status=1)

    def test_what_only_a_worker_finds_prevents_the_start(self, tmp_path: Path) -> None:
        bley = Bley(tmp_path, workers=2, database="redis://127.0.0.1/0")
        program = "import sys; sys.modules['redis'] = None; from bley.daemon.worker import main; main()"
        wrapper = tmp_path / "python"
        wrapper.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{program}" "$4"\n')
        wrapper.chmod(0o755)
        serve = f"import sys; sys.executable = '{wrapper}'; from bley.cli import main; main()"
        ran = subprocess.run(
            [sys.executable, "-c", serve, "serve", "-c", bley.file], capture_output=True, text=True, check=False
        )
        assert ran.returncode == 2
        assert "redis" in ran.stderr
        assert ran.stderr.count("\n") == 1

    def test_workers_that_cannot_run_prevent_the_start(self, tmp_path: Path) -> None:
        bley = Bley(tmp_path, workers=2)
        serve = "import sys; sys.executable = '/bin/false'; from bley.cli import main; main()"
        ran = subprocess.run(
            [sys.executable, "-c", serve, "serve", "-c", bley.file], capture_output=True, text=True, check=False
        )
        assert ran.returncode == 1
        assert re.fullmatch(
            r"workers: a worker cannot be started: worker \d \(pid \d+\) exited with status 1\n", ran.stderr
        )

    def test_a_unix_socket_is_shared(self, tmp_path: Path) -> None:
        path = tmp_path / "bley.sock"
        with Bley(tmp_path, workers=2, listen_addr=f"unix:{path}") as bley:
            assert bley.places == [f"unix:{path}"]
            bley.process.send_signal(signal.SIGCONT)
            answers = [self._exchange_at(path, BAD) for _ in range(20)]
            assert answers == [DEFERRED] * 20
            os.kill(workers(bley)[0], signal.SIGKILL)
            assert [self._exchange_at(path, BAD) for _ in range(20)] == answers
        assert not path.exists()

    def _exchange_at(self, path: Path, request: Request) -> bytes:
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(WAIT_SECONDS)
            peer.connect(str(path))
            peer.sendall(encode_request(request))
            return peer.recv(4096)

    def test_systemd_s_socket_is_shared_and_systemd_is_told_by_the_supervisor_alone(self, tmp_path: Path) -> None:
        """Its watchdog is fed while workers answer; a hanging worker is killed, and replaced."""
        notify = tmp_path / "notify"
        bley = Bley(tmp_path, workers=2, listen_addr="192.0.2.1")
        with (
            socket.create_server(("127.0.0.1", 0)) as listener,
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified,
        ):
            notified.bind(str(notify))
            notified.settimeout(WAIT_SECONDS)
            environment = os.environ | {"NOTIFY_SOCKET": str(notify), "WATCHDOG_USEC": "4000000"}
            command: list[str | Path] = [
                sys.executable,
                "-c",
                PASSING,
                str(listener.fileno()),
                *BLEY[1:],
                "serve",
                "-c",
                bley.file,
            ]
            with bley._log_file.open("ab") as log:
                bley.process = subprocess.Popen(
                    command, pass_fds=[listener.fileno()], env=environment, stdout=log, stderr=log
                )
            try:
                bley.port = int(bley.wait_log(r"listens on 127\.0\.0\.1:(\d+), store")[1])
                assert bley.port == listener.getsockname()[1]
                assert exchange(bley.port, BAD) == DEFERRED
                status = f"listens on 127.0.0.1:{bley.port}, store {tmp_path}/bley.db, 2 workers"
                told = [notified.recv(1000).decode() for _ in range(3)]
                assert told == [f"READY=1\nMAINPID={bley.process.pid}\nSTATUS={status}", "WATCHDOG=1", "WATCHDOG=1"]
                stopped = workers(bley)[0]
                os.kill(stopped, signal.SIGSTOP)
                bley.wait_log(rf"\(pid {stopped}\) has not answered for 1 s: killing it")
                wait_until(lambda: len(workers(bley)) == 2, "it is not replaced")
                bley.stop()
                rest = iter(lambda: notified.recv(100).decode(), "STOPPING=1")
                assert set(rest) <= {"WATCHDOG=1"}
            finally:
                bley.process.kill()
                bley.process.wait()


PASSING = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


def test_in_the_background_nothing_keeps_the_terminal(tmp_path: Path) -> None:
    """Workers do not block a program that reads all output of `bley -c FILE`."""
    bley = Bley(tmp_path, workers=2, log_file=tmp_path / "own.log")
    pid_file = tmp_path / "given.pid"
    subprocess.run([*BLEY, "-c", bley.file, "-p", pid_file], check=True, timeout=WAIT_SECONDS, capture_output=True)
    os.kill(int(pid_file.read_text()), signal.SIGTERM)
    wait_until(lambda: not pid_file.exists(), "it does not stop")
    wait_until(lambda: "stopped" in (tmp_path / "own.log").read_text(), "it does not stop")


def test_the_log_on_a_pipe_has_whole_lines(tmp_path: Path) -> None:
    """Lines stay whole whatever the workers write at the same time; the store may be slow."""
    bley = Bley(tmp_path, workers=2)
    with subprocess.Popen([*BLEY, "serve", "-c", bley.file], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        listening = next(match for line in process.stdout if (match := re.search(r"listens on \S+:(\d+),", line)))

        def ask(number: int) -> None:
            with socket.create_connection(("127.0.0.1", int(listening[1])), WAIT_SECONDS) as peer:
                for each in range(200):
                    peer.sendall(encode_request(BAD._replace(sender=f"{'s' * 200}x{number}x{each}y@example.com")))
                    assert peer.recv(4096).startswith(b"action=")

        with ThreadPoolExecutor(21) as threads:
            reading = threads.submit(process.stdout.readlines)
            try:
                list(threads.map(ask, range(20)))  # the kernel gives each to a worker by chance
            finally:
                process.terminate()
    form = re.compile(r"\S+ bley\[(\d+)\]: action=\w+, .* sender=(\S+), recipient=.*\n")
    matches = [form.fullmatch(line) for line in reading.result() if "action=" in line]
    assert all(matches)
    assert len({match[2] for match in matches if match}) == len(matches) == 4000
    assert len({match[1] for match in matches if match}) == 2
