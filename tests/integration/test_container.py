"""The container image, built and run by Podman: `make container`, its volume, users, signals and health check."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from bley import __version__
from tests.integration.podman import BASE, Podman
from tests.integration.postfix import Postfix
from tests.integration.running_bley import WAIT_SECONDS, Bley, request_options

FOLDER = Path(__file__).parents[2] / "contrib" / "container"
LOCKED_UP = (
    *("--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges"),
    "--network=none",  # test traffic stays on the loopback; so no DNS answers
)
MAIL = {
    "client_address": "192.0.2.1",
    "helo_name": "friend",
    "sender": "a@example.com",
    "recipient": "b@example.org",
}
SETTINGS = """
[bley]
listen_addr = 0.0.0.0
dbpath = /var/lib/bley
classic = 1
greylist_period = 0
"""


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Podman]:
    """Return Podman with the image `bley`, which `make container` has built."""
    with Podman(tmp_path_factory.mktemp("podman")) as podman:
        podman.make_base()
        ran = make(podman, BASE=BASE)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        yield podman


def make(podman: Podman, **variables: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "container", *(f"{name}={value}" for name, value in variables.items())]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=FOLDER.parents[1], env=podman.environment
    )


class Container:
    """A running container of the image."""

    def __init__(self, podman: Podman, volume: str | Path, *options: str) -> None:
        self._podman = podman
        # Its first word is the container's number; Podman without systemd complains that it sets no timer
        self.number = podman.run("run", "--detach", *LOCKED_UP, *options, f"--volume={volume}:/var/lib/bley", "bley")
        self.number = self.number.split()[0]

    def bley(self, *arguments: str) -> str:
        """Run a command of bley in the container."""
        return self.exec("bley", *arguments)

    def exec(self, *command: str) -> str:
        return self._podman.run("exec", self.number, *command)

    def wait_healthy(self) -> None:
        """Wait until the image's own health check succeeds."""
        self.wait(lambda: self._podman.try_run("healthcheck", "run", self.number).returncode == 0)

    def wait(self, is_true: Callable[[], bool]) -> None:
        end = time.monotonic() + WAIT_SECONDS
        while not is_true():
            assert time.monotonic() < end, self.log()
            time.sleep(0.2)

    def log(self) -> str:
        ran = self._podman.try_run("logs", self.number)
        return ran.stdout + ran.stderr

    def stop(self) -> int:
        """Stop it as a machine that shuts down does, but with more patience; return the exit status."""
        self._podman.run("stop", "--time=60", self.number)
        return int(self._podman.run("inspect", "--format={{.State.ExitCode}}", self.number))


@contextmanager
def running(podman: Podman, volume: str | Path, *options: str) -> Iterator[Container]:
    """Run a container; at the end it is removed, but not its volume."""
    container = Container(podman, volume, *options)
    try:
        yield container
    finally:
        print(container.log())
        podman.run("rm", "--force", "--time=0", container.number)


@pytest.fixture
def settings(tmp_path: Path) -> str:
    """Return the option that mounts settings with which a stranger waits, but no time."""
    file = tmp_path / "own.conf"
    file.write_text(SETTINGS)
    return f"--volume={file}:/etc/bley/bley.conf:ro"


@pytest.mark.parametrize("user", ["10001:0", "1000660000:0"], ids=["own", "arbitrary"])
def test_known_mail_is_known_to_the_next_container_of_the_volume(podman: Podman, settings: str, user: str) -> None:
    """With a read-only file system, without capabilities, as any user of group 0; each stop is clean."""
    volume = f"known-{user.partition(':')[0]}"
    with running(podman, volume, settings, f"--user={user}") as container:
        container.wait_healthy()
        assert container.bley("ask", *request_options(**MAIL)).startswith("action=DEFER_IF_PERMIT")
        assert "a@example.com" in container.bley("list", "--status=waiting")
        assert container.bley("ask", *request_options(**MAIL)).startswith("action=PREPEND")
        assert container.stop() == 0
        assert "]: stopped\n" in container.log()
    with running(podman, volume, settings, f"--user={user}") as container:
        container.wait_healthy()
        assert container.bley("ask", *request_options(**MAIL)) == "action=DUNNO\n"
        container.wait(lambda: "action=pass, reason=known, " in container.log())


def test_the_settings_of_the_image_put_everything_into_the_volume(podman: Podman) -> None:
    with running(podman, "default") as container:
        container.wait_healthy()
        assert f"bley {__version__} listens on 0.0.0.0:1337, store /var/lib/bley/bley.db" in container.log()
        assert "whitelist_clients.local" in container.bley("allow", "192.0.2.7")
        assert "/var/lib/bley/backup.db" in container.bley("backup", "/var/lib/bley/backup.db")
        assert container.exec("find", "/var/lib/bley", "-not", "-user", "bley") == ""
        assert "whitelist_clients.local" in container.exec("ls", "/var/lib/bley")


def test_a_stop_during_the_start_waits_for_nothing(podman: Podman) -> None:
    """The first process would ignore SIGTERM until it handles it, and be killed 10 s later."""
    for delay in (0.0, 0.3):
        with running(podman, "early") as container:
            time.sleep(delay)
            assert container.stop() in (0, 143)


def test_processes_that_commands_leave_behind_are_reaped(podman: Podman) -> None:
    states = "cat /proc/[0-9]*/status 2>/dev/null | grep -c 'State:.Z' || true"
    with running(podman, "orphans") as container:
        container.wait_healthy()
        container.exec("sh", "-c", "sleep 0.1 & exit")
        time.sleep(0.2)
        container.wait(lambda: container.exec("sh", "-c", states).strip() == "0")


def test_a_signal_reloads_the_settings(podman: Podman, settings: str) -> None:
    with running(podman, "reloaded", settings) as container:
        container.wait_healthy()
        podman.run("kill", "--signal=HUP", container.number)
        container.wait(lambda: "reloaded" in container.log())


def test_a_volume_of_another_user_ends_the_start_with_the_remedy(podman: Podman, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    ran = podman.try_run("run", "--rm", *LOCKED_UP, f"--volume={tmp_path}:/var/lib/bley", "bley")
    assert ran.returncode == 1
    assert "bley: user 10001 may not write to the volume /var/lib/bley: " in ran.stderr
    assert "chown 10001:0" in ran.stderr


def test_invalid_settings_end_the_start_with_their_line(podman: Podman, tmp_path: Path) -> None:
    file = tmp_path / "bley.conf"
    file.write_text("[bley]\nlisten_adr = 0.0.0.0\n")
    ran = podman.try_run("run", "--rm", *LOCKED_UP, f"--volume={file}:/etc/bley/bley.conf:ro", "bley")
    assert ran.returncode == 2
    assert "/etc/bley/bley.conf:2: unknown key 'listen_adr', did you mean 'listen_addr'?" in ran.stderr


def test_the_image_has_no_tools_of_the_build_and_runs_as_no_root(podman: Podman) -> None:
    [config] = yaml.safe_load(podman.run("inspect", "bley"))
    assert config["Config"]["User"] == "10001:0"
    assert config["Config"]["Volumes"] == {"/var/lib/bley": {}}
    assert config["Labels"]["org.opencontainers.image.version"] == __version__
    assert f"localhost/bley:{__version__}" in config["RepoTags"]
    left = podman.run("run", "--rm", *LOCKED_UP, "--entrypoint=sh", "bley", "-c", "ls /opt/bley/bin /source; true")
    assert "bley" in left
    assert "pip" not in left


@pytest.mark.parametrize(
    ("programs", "variables", "message"),
    [
        ({}, {}, "neither podman nor docker is installed: apt install podman"),
        ({}, {"ENGINE": "nerdctl"}, "ENGINE: nerdctl is not installed"),
        (
            {"docker": "echo Cannot connect to the Docker daemon >&2; exit 1"},
            {},
            "docker is installed, but does not work: Cannot connect to the Docker daemon",
        ),
        (
            {"podman": '[ "$1" = info ]'},
            {},
            "the build failed, as shown above. It needs a base image (another one: BASE=NAME) and a package index",
        ),
    ],
    ids=["none", "unknown", "no daemon", "no base"],
)
def test_the_build_says_what_is_missing(
    tmp_path: Path, programs: dict[str, str], variables: dict[str, str], message: str
) -> None:
    for name in ("sh", "dirname", "sed", "tail"):
        tmp_path.joinpath(name).symlink_to(str(shutil.which(name)))
    for name, text in programs.items():
        tmp_path.joinpath(name).write_text(f"#!/bin/sh\n{text}\n")
        tmp_path.joinpath(name).chmod(0o755)
    environment = {key: value for key, value in os.environ.items() if key not in ("ENGINE", "BASE", "EXTRAS")}
    environment |= {"PATH": str(tmp_path), **variables}
    ran = subprocess.run([FOLDER / "build"], capture_output=True, text=True, check=False, env=environment)
    assert ran.returncode == 1
    assert re.sub(r"/\S*/(?=docker is)", "", ran.stderr) == f"make container: {message}\n"


def test_compose_runs_the_image_and_shows_postfix_the_addresses_of_its_clients() -> None:
    compose = yaml.safe_load(FOLDER.joinpath("compose.yaml").read_text())
    bley, postfix = compose["services"]["bley"], compose["services"]["postfix"]
    context = FOLDER / bley["build"]["context"]
    assert context.joinpath("pyproject.toml").is_file()
    assert context.joinpath(bley["build"]["dockerfile"]).samefile(FOLDER / "Containerfile")
    assert FOLDER.joinpath(postfix["build"], "Containerfile").is_file()
    assert bley["ports"] == ["127.0.0.1:1337:1337"]
    assert postfix["network_mode"] == "host"
    volumes = {each.split(":")[0] for service in (bley, postfix) for each in service["volumes"]}
    assert volumes == set(compose["volumes"])


def test_the_postfix_of_compose_defers_strangers(tmp_path: Path) -> None:
    """A real Postfix with its main.cf, except for the places of the test."""
    lines = re.sub(r"\n[ \t]+", " ", FOLDER.joinpath("postfix/main.cf").read_text())
    main_cf = dict(re.findall(r"(?m)^(\w+) = (.*)$", lines))
    with Bley(tmp_path, classic=1) as bley:
        query = main_cf["smtpd_recipient_restrictions"].replace("127.0.0.1:1337", f"127.0.0.1:{bley.port}")
        own = {"smtpd_recipient_restrictions": query, "mynetworks": main_cf["mynetworks"]}
        with (
            Postfix("", main_cf=own) as postfix,
            postfix.session(client_address="192.0.2.1", helo_name="friend") as smtp,
        ):
            [reply] = smtp.send("a@example.com", ["b@example.org"])
        assert reply.code == 450
