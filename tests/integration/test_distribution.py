"""The files of a release, as `make dist` builds them: built twice, checked, and installed without the checkout."""

import filecmp
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from email.parser import Parser
from pathlib import Path
from typing import NamedTuple

import pytest

from bley import __version__
from tests.free_ports import free_port

PROJECT = Path(__file__).parents[2]
_SECONDS = 600.0
"""A limit that only a hang reaches."""


class Distribution(NamedTuple):
    """The two files of a release."""

    sdist: Path
    wheel: Path

    @property
    def digests(self) -> list[str]:
        return [hashlib.sha256(file.read_bytes()).hexdigest() for file in self]


def run(*command: str | Path, **environment: str) -> str:
    """Run it outside of the checkout; return its output."""
    ran = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=_SECONDS, cwd="/", env=os.environ | environment
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def build(source: Path, folder: Path, **environment: str) -> Distribution:
    """Build the source distribution, and the wheel from that."""
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, source, **environment)
    [sdist], [wheel] = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return Distribution(sdist, wheel)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Distribution:
    return build(PROJECT, tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def unpacked(built: Distribution, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(built.sdist) as archive:
        archive.extractall(folder, filter="data")
    return folder / f"bley-{__version__}"


@pytest.fixture(scope="module")
def installed(built: Distribution, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a new virtual environment, into which pip has installed the source distribution."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    run(sys.executable, "-m", "venv", folder)
    run(folder / "bin/pip", "install", "--quiet", "--no-compile", "-c", PROJECT / "constraints.txt", built.sdist)
    return folder


def test_a_package_index_accepts_both_files(built: Distribution) -> None:
    said = run(sys.executable, "-m", "twine", "check", "--strict", *built, NO_COLOR="1")
    assert said.count("PASSED") == 2


def test_the_source_distribution_has_all_files_of_the_repository_and_no_others(unpacked: Path) -> None:
    """A packager builds and tests it without the repository; nothing of this machine is in it."""
    if not PROJECT.joinpath(".git").exists() or not shutil.which("git"):
        pytest.skip("this is no git repository, or git is missing")
    listed = run(
        "git", "-c", "safe.directory=*", "-C", PROJECT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"
    )
    tracked = {name for name in listed.split("\0") if name and PROJECT.joinpath(name).exists()}
    packed = {str(file.relative_to(unpacked)) for file in unpacked.rglob("*") if file.is_file()}
    assert packed - {"PKG-INFO"} == {name for name in tracked if not name.startswith(".ci/")}


def test_the_page_of_the_package_index_has_no_dead_links_or_pictures(built: Distribution) -> None:
    with zipfile.ZipFile(built.wheel) as wheel:
        text = wheel.read(f"bley-{__version__}.dist-info/METADATA").decode()
    page = str(Parser().parsestr(text).get_payload())
    assert page.startswith("# bley\n")
    assert not re.findall(r"\]\((?!https?:)", page)
    assert "installation (`docs/install.md`)" in page


def test_the_same_source_gives_the_same_bytes(built: Distribution, unpacked: Path, tmp_path: Path) -> None:
    """In another folder, with other times and another umask."""
    for file in unpacked.rglob("*"):
        os.utime(file, (1_000_000_000, 1_000_000_000))
    old = os.umask(0o077)
    try:
        again = build(unpacked, tmp_path, TZ="Asia/Tokyo", PYTHONHASHSEED="7")
    finally:
        os.umask(old)
    assert again.digests == built.digests


@contextmanager
def serving(bley: Path, folder: Path) -> Iterator[list[str | Path]]:
    """Run an installed bley; yield the options that name its settings."""
    file = folder / "bley.conf"
    own = f"listen_port = {free_port()}\nweb_listen = 127.0.0.1:{free_port()}\n"
    file.write_text(f"[bley]\ndbpath = {folder}\ndnsbls =\ndnswls =\ncheck_names = 0\nuse_spf = 0\n{own}")
    command: list[str | Path] = [bley, "serve", "-c", file]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd="/") as process:
        try:
            assert process.stdout
            assert any("listens on" in line for line in process.stdout)
            yield ["-c", file]
        finally:
            process.terminate()
    assert process.returncode == 0


def test_pip_installs_the_source_distribution_without_the_checkout(installed: Path, tmp_path: Path) -> None:
    bley = installed / "bin/bley"
    assert run(bley, "--version").strip().endswith(__version__)
    stranger = ("--client-address=192.0.2.1", "--helo-name=friend", "--sender=a@example.com")
    with serving(bley, tmp_path) as options:
        assert run(bley, "ask", *options, *stranger, "--recipient=b@example.org").startswith("action=DEFER_IF_PERMIT")
        assert "b@example.org" in run(bley, "list", *options, "--status=waiting")


def test_pip_installs_what_an_administrator_needs_beside_the_program(installed: Path, unpacked: Path) -> None:
    """The manual pages, the documents, and the files that the documents copy to their places."""
    share = installed / "share"
    for page in unpacked.glob("docs/*.[15]"):
        assert share.joinpath(f"man/man{page.suffix[1:]}", page.name).is_file()
    for folder in ("docs", "contrib"):
        for file in unpacked.joinpath(folder).rglob("*.[mcs]*"):
            assert filecmp.cmp(file, share / "doc/bley" / file.relative_to(unpacked), shallow=False), file
    [package] = installed.glob("lib/python*/site-packages/bley")
    assert package.joinpath("py.typed").is_file()
