"""A machine of the tests: systemd as process 1 in namespaces of its own, with the files of this machine.

with Machine(tmp_path, {"/etc/bley/bley.conf": "[bley]\\n"}) as machine:
    machine.run("systemctl", "start", "bley")

Its root folder is an overlay: changes stay in memory, and units of this machine are hidden. Its network is a loopback
of its own. Clock and kernel belong to both machines: neither its systemd nor a command may set them.
"""

import os
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import pytest

from tests.integration.running_bley import WAIT_SECONDS
from tests.integration.servers import require

__all__ = ["Machine"]

PROJECT = Path(__file__).parents[2]
_SYSTEMD = Path("/lib/systemd/systemd")

_LESS = ("setpriv", "--bounding-set=-sys_time,-sys_module,-sys_rawio")
"""Run a command without the capabilities to set the clock, load modules and reach the hardware (capabilities(7))."""

_TRIAL = """
mount -t tmpfs tmpfs /mnt && mkdir /mnt/upper /mnt/work /mnt/root &&
    mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work overlay /mnt/root &&
    mount -t cgroup2 cgroup2 /mnt/root/mnt
"""

_KEEPER = """
[ -z "$GROUP" ] || echo $$ >"$GROUP/cgroup.procs"
exec unshare --mount sh -c '
    mount -t tmpfs -o mode=755 tmpfs "$1" && mkdir "$1/upper" "$1/work" "$1/root" || exit
    while
        unshare --mount --pid --fork --kill-child --uts --ipc --net --cgroup sh -c "$BOOT" boot "$@"
        [ $? = 129 ]
    do :; done
' keeper "$@"
"""
"""Keep the changes in memory, and boot again after a reboot, which ends process 1 by SIGHUP (pid_namespaces(7))."""

_BOOT = """
set -e
mount -t overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" overlay "$1/root"
cd "$1/root"
if [ ! -e opt/bley ]; then
    mkdir -p opt/bley/project opt/bley/site opt/bley/python
    rm -rf etc/systemd/system etc/bley var/lib/bley var/log/bley var/log/journal
    mkdir -p var/log/journal
    cp -r "$5/." .
    chroot . useradd --system --user-group --home-dir /var/lib/bley --shell /usr/sbin/nologin bley
    install -d -o postfix -m 700 var/spool/postfix/private
fi
mount -t proc proc proc
mount --bind -o ro proc/sys proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do touch dev/$device; mount --bind /dev/$device dev/$device; done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for folder in dev/shm tmp; do mount -t tmpfs -o mode=1777 tmpfs $folder; done
for folder in run etc/init.d; do mount -t tmpfs -o mode=755 tmpfs $folder; done
mount --bind "$2" opt/bley/project
mount --bind "$3" opt/bley/site
mount --bind "$4" opt/bley/python
hostname mail.example.org
pivot_root . mnt
umount -l /mnt
mount --make-rshared /
exec $LESS env -i container=tests PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd
"""

_BLEY = f"""#!/bin/sh
export LD_LIBRARY_PATH=/opt/bley/python/lib PYTHONHOME=/opt/bley/python PYTHONDONTWRITEBYTECODE=1
export PYTHONPATH=/opt/bley/project/src:/opt/bley/site
exec /opt/bley/python/bin/{Path(os.path.realpath(sys.executable)).name} -m bley "$@"
"""


class Machine:
    """A booted machine with these files, with user `bley`, and with this bley as `/usr/local/bin/bley`."""

    def __init__(self, folder: Path, files: Mapping[str, str]) -> None:
        require(_SYSTEMD, "systemd")
        _require_namespaces()
        self._folder, self._files = folder / "machine", folder / "files"
        self._folder.mkdir()
        for name, text in ({"/usr/local/bin/bley": _BLEY} | dict(files)).items():
            file = self._files / name.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        (self._files / "usr/local/bin/bley").chmod(0o755)

    def __enter__(self) -> Self:
        self._group = _control_group()
        shared = (PROJECT, sysconfig.get_path("purelib"), sys.base_prefix)
        self._keeper = subprocess.Popen(
            ["sh", "-c", _KEEPER, "keeper", self._folder, *shared, self._files],
            env=os.environ | {"GROUP": str(self._group or ""), "BOOT": _BOOT, "LESS": " ".join(_LESS)},
            start_new_session=True,
        )
        self._wait_booted()
        return self

    def __exit__(self, *_: object) -> None:
        os.killpg(self._keeper.pid, signal.SIGKILL)
        self._keeper.wait()
        if self._group:
            _remove_group(self._group)

    def run(self, *command: str, status: int | None = 0, within: tuple[str, ...] = ("-a",)) -> str:
        """Run a command in the machine, and return its output; `within`: the namespaces, by nsenter's options."""
        entered = ["nsenter", "-t", str(self.init), *within, *_LESS, *command]
        ran = subprocess.run(
            entered, capture_output=True, text=True, check=False, cwd=PROJECT, timeout=3 * WAIT_SECONDS
        )
        said = ran.stdout + ran.stderr
        assert status in (None, ran.returncode), said + self.journal()[-5000:]
        return said.strip()

    def journal(self) -> str:
        """Return the journal of bley since the boot."""
        command = ["journalctl", "--boot", "--no-pager", "--output=cat", "--unit=bley", "--unit=bley.socket"]
        return subprocess.run(
            ["nsenter", "-t", str(self.init), "-a", *command], capture_output=True, text=True, check=False
        ).stdout

    def path(self, name: str) -> Path:
        """Return where a file of the machine is for a process outside of it."""
        return Path(f"/proc/{self.init}/root{name}")

    def show(self, *properties: str, unit: str = "bley") -> list[str]:
        """Return these properties of a unit."""
        shown = self.run("systemctl", "show", *(f"--property={name}" for name in properties), unit)
        values = dict(line.split("=", 1) for line in shown.splitlines())
        return [values[name] for name in properties]

    def wait(self, state: str, unit: str = "bley") -> None:
        """Wait until the unit has this ActiveState."""
        end = time.monotonic() + WAIT_SECONDS
        while self.show("ActiveState", unit=unit) != [state]:
            assert time.monotonic() < end, self.journal()
            time.sleep(0.1)

    def reboot(self) -> None:
        """Reboot, and wait until the machine has booted."""
        before = self.init
        self.run("systemctl", "reboot", status=None)
        end = time.monotonic() + WAIT_SECONDS
        while Path(f"/proc/{before}").exists():
            assert time.monotonic() < end, "it does not shut down"
            time.sleep(0.1)
        self._wait_booted()

    def _wait_booted(self) -> None:
        end = time.monotonic() + WAIT_SECONDS
        while True:
            assert self._keeper.poll() is None, "the machine cannot be made"
            assert time.monotonic() < end, "it does not boot"
            self.init = next((child for other in _children(self._keeper.pid) for child in _children(other)), 0)
            if self.init and Path(f"/proc/{self.init}/comm").read_text() == "systemd\n":
                ready = self.run("systemctl", "is-system-running", "--wait", status=None)
                if ready in ("running", "degraded"):
                    return
            time.sleep(0.1)


def _require_namespaces() -> None:
    """Skip the test where root may not have them, as in most containers."""
    command = ["unshare", "--mount", "--pid", "--fork", "--uts", "--ipc", "--net", "--cgroup", "sh", "-c", _TRIAL]
    tried = subprocess.run(command, capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"no machine of its own is possible here: {tried.stderr.strip()}")


def _children(process: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except OSError:
        return []


def _control_group() -> Path | None:
    """Return a new control group, which becomes the root of the machine's; None if this machine has no cgroup2."""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        if kind == "cgroup2":
            group = Path(place) / f"bley-tests-{os.getpid()}"
            group.mkdir()
            return group
    return None


def _remove_group(group: Path) -> None:
    for folder, _, _ in os.walk(group, topdown=False):
        end = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                Path(folder).rmdir()
            except OSError:  # the kernel still ends its processes
                assert time.monotonic() < end
                time.sleep(0.05)
            else:
                break
