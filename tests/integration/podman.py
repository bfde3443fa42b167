"""Podman with a storage of its own, and a base image that comes from no registry: Debian with Python, by debootstrap.

    with Podman(folder) as podman:
        podman.make_base()
        podman.run("build", "--build-arg", f"BASE={BASE}", …)

Python's packages come from a folder: pip of this machine has downloaded them, as it does for `make test`.
"""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Self

from tests.integration.servers import require

PROJECT = Path(__file__).parents[2]
BASE = "localhost/python:3.13-slim"
_SUITE, _PYTHON = "trixie", "3.13"
_SECONDS = 900.0
"""A limit that only a hang reaches."""


class Podman:
    """Podman, with images, containers and volumes below `folder`; at the end all of them are removed."""

    def __init__(self, folder: Path) -> None:
        for package in ("podman", "runc", "debootstrap"):
            require(package, package)
        self._folder = folder
        self._wheels = folder / "wheels"
        self.environment = os.environ | {
            "CONTAINERS_CONF": str(folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
        }

    def __enter__(self) -> Self:
        self._wheels.mkdir()
        pip = self._folder / "pip.conf"
        pip.write_text("[global]\nno-index = true\nfind-links = /wheels\n")
        # The build needs the network for apt. Podman's own limits fail where root may not raise them, and crun where
        # both versions of cgroups are mounted
        self._folder.joinpath("containers.conf").write_text(
            f'[containers]\nnetns = "host"\nvolumes = ["{self._wheels}:/wheels:ro", "{pip}:/etc/pip.conf:ro"]\n'
            'default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]\n'
            '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
        )
        self._folder.joinpath("storage.conf").write_text(
            f'[storage]\ndriver = "overlay"\ngraphroot = "{self._folder}/images"\nrunroot = "{self._folder}/run"\n'
        )
        return self

    def __exit__(self, *_: object) -> None:
        self.run("rm", "--all", "--force", "--time", "0")
        self.run("rmi", "--all", "--force")

    def make_base(self) -> None:
        """Make the image BASE, and download Python's packages for it."""
        root = self._folder / "base"
        packages = "--include=python3,python3-venv"
        with subprocess.Popen(
            ["debootstrap", "--variant=minbase", packages, _SUITE, root], stdout=subprocess.PIPE, text=True
        ) as debootstrap:
            self._download()
            said, _ = debootstrap.communicate(timeout=_SECONDS)
        assert debootstrap.returncode == 0, said
        with subprocess.Popen(["tar", "-C", root, "-c", "."], stdout=subprocess.PIPE) as tar:
            subprocess.run(["podman", "import", "-", BASE], stdin=tar.stdout, check=True, env=self.environment)
        shutil.rmtree(root)

    def _download(self) -> None:
        project = tomllib.loads(PROJECT.joinpath("pyproject.toml").read_text())
        extras = project["project"]["optional-dependencies"]
        needed = [*project["build-system"]["requires"], *project["project"]["dependencies"]]
        needed += [requirement for name in ("postgresql", "mysql", "redis") for requirement in extras[name]]
        options: list[str | Path] = ["--constraint", PROJECT / "constraints.txt", "--find-links", self._wheels]
        _pip("wheel", *options, "--no-deps", "--wheel-dir", self._wheels, "pyspf")  # the index has no wheel of it
        options += ["--only-binary=:all:", "--python-version", _PYTHON, "--dest", self._wheels]
        _pip("download", *options, *needed)

    def try_run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a command of Podman."""
        command = ["podman", *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_SECONDS, env=self.environment
        )

    def run(self, *arguments: str | Path) -> str:
        """Run a command of Podman that must succeed; return its output."""
        ran = self.try_run(*arguments)
        assert ran.returncode == 0, f"podman {arguments}: {ran.stdout}{ran.stderr}"
        return ran.stdout


def _pip(*arguments: str | Path) -> None:
    ran = subprocess.run([sys.executable, "-m", "pip", *arguments], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
