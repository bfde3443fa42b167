"""The Debian package: built once, examined by lintian, used in a minimal Debian from installation to purge."""

import os
import platform
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from bley import __version__
from tests.free_ports import free_port
from tests.integration.packaging.debian_root import DebianRoot
from tests.integration.running_bley import DEFAULTS, WAIT_SECONDS
from tests.integration.servers import end_group, require, start_group
from tests.integration.systemd_machine import Machine

PROJECT = Path(__file__).parent.parent.parent.parent
RELEASE = {"12": "bookworm", "13": "trixie"}.get(platform.freedesktop_os_release().get("VERSION_ID", ""), "bookworm")
CONF = "/etc/bley/bley.conf"
IMPORT_ALL = """
import importlib, pathlib, sys
[site] = [path for path in sys.path if path.endswith("site-packages")]
for file in pathlib.Path(site).rglob("*.so"):
    importlib.import_module(".".join(file.relative_to(site).parts).partition(".cpython")[0].partition(".abi3")[0])
"""
VERSIONS = """
import importlib.metadata
for package in importlib.metadata.distributions():
    print(f"{package.metadata['Name']}=={package.version}")
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of this tree, for this machine's Debian; hardly compressed, to save half a minute."""
    needed = {"dh": "debhelper", "dpkg-buildpackage": "build-essential", "lintian": "lintian"}
    for program, name in {**needed, "debootstrap": "debootstrap"}.items():
        require(program, name)
    folder = tmp_path_factory.mktemp("deb")
    environment = os.environ | {"DPKG_DEB_COMPRESSOR_TYPE": "gzip", "DPKG_DEB_COMPRESSOR_LEVEL": "1"}
    built = subprocess.run(
        [PROJECT / "debian/build", RELEASE, "1", str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    [file] = folder.glob("*.deb")
    assert built.stdout.splitlines()[-1] == str(file)
    return file


@pytest.fixture(scope="module")
def debian(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DebianRoot]:
    """A minimal Debian with bley, of which a test must leave everything as it was."""
    root = DebianRoot(tmp_path_factory.mktemp("root"), RELEASE)
    root.run("apt-get", "update", "-q")
    root.install(package)
    yield root
    shutil.rmtree(root.folder)  # half a gigabyte, which pytest would keep for three runs


def newer(package: Path, folder: Path) -> Path:
    """Return the same package with a higher version and another bley.conf."""
    subprocess.run(["dpkg-deb", "-R", package, folder], check=True)
    control, conf = folder / "DEBIAN/control", folder / CONF[1:]
    control.write_text(re.sub(r"(?m)^(Version: .*)u1$", r"\1u2", control.read_text()))
    conf.write_text(conf.read_text() + "# of the newer package\n")
    folder.chmod(0o755)
    file = folder.with_suffix(".deb")
    subprocess.run(["dpkg-deb", "-Znone", "--root-owner-group", "-b", folder, file], check=True)
    return file


def owner(file: Path, root: DebianRoot) -> str:
    """Return the owner, group and mode of a file of this Debian, by its own names."""
    return root.run("stat", "-c", "%U:%G %a", f"/{file.relative_to(root.folder)}").strip()


@contextmanager
def running(root: DebianRoot) -> Iterator[None]:
    """Run bley as its unit does, though there is no systemd."""
    unit = root.path("/lib/systemd/system/bley.service").read_text()
    [start] = re.findall(r"(?m)^ExecStart=(.*)", unit)
    [user] = re.findall(r"(?m)^User=(.*)", unit)
    log = root.path("/root/bley.log")
    with log.open("wb") as output:
        process = start_group(root.command(*shlex.split(start), user=user), output)
    try:
        for _ in range(int(WAIT_SECONDS * 10)):
            if "listens on" in log.read_text():
                break
            assert process.poll() is None, log.read_text()
            root.run("sleep", "0.1")
        yield
    finally:
        end_group(process)


def ask(root: DebianRoot) -> str:
    request = "--client-address 192.0.2.1 --helo-name friend --sender a@example.com --recipient b@example.org"
    return root.run("bley", "ask", *request.split()).strip()


def change_settings(root: DebianRoot) -> str:
    """Change bley.conf as an administrator does; return its new text."""
    settings = {**DEFAULTS, "listen_port": str(free_port())}
    with root.path(CONF).open("a") as file:
        file.writelines(f"{key} = {value}\n" for key, value in settings.items())
    return root.path(CONF).read_text()


def test_lintian_finds_no_error(package: Path) -> None:
    found = subprocess.run(["lintian", "--fail-on=error,warning", package], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


def test_versions_sort_from_release_to_release(package: Path) -> None:
    """A pre-release sorts before the release, Debian 12 before 13, and a rebuild after the first build."""
    version = package.name.split("_")[1]
    order = [version, "3.0.0-1~deb12u1", "3.0.0-1~deb12u2", "3.0.0-1~deb13u1", "3.0.1-1~deb12u1"]
    for lower, higher in pairwise(order):
        subprocess.run(["dpkg", "--compare-versions", lower, "lt", higher], check=True)


def test_it_contains_nothing_of_the_machine_that_built_it(debian: DebianRoot) -> None:
    """No path and no pip; byte code is there, so root does not write it; every library has its pinned version."""
    found = subprocess.run(
        ["grep", "-rlF", "-e", str(PROJECT), "-e", "var/deb", debian.path("/usr/lib/bley")],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert found.stdout == ""
    debian.run("/usr/lib/bley/bin/python3", "-IBc", IMPORT_ALL)
    assert debian.run("bley", "--version") == f"bley, version {__version__} (compiled)\n"
    installed = debian.run("/usr/lib/bley/bin/python3", "-Ic", VERSIONS).splitlines()
    pins = PROJECT.joinpath("constraints.txt").read_text() + PROJECT.joinpath("debian/constraints.txt").read_text()
    pinned = {line.lower().replace("-", "_") for line in pins.splitlines()}
    assert {
        line for line in installed if line.lower().replace("-", "_") not in pinned and not line.startswith("bley==")
    } == set()
    assert len(installed) > 30
    sources = set(debian.path("/usr/lib/bley").rglob("*.py"))
    compiled = {
        file.parent.parent / f"{file.name.partition('.')[0]}.py" for file in debian.path("/usr/lib/bley").rglob("*.pyc")
    }
    assert sources == compiled


def test_programs_of_root_leave_nothing_behind(debian: DebianRoot) -> None:
    before = sorted(debian.path("/usr/lib/bley").rglob("*"))
    assert "listen_port = 1337" in debian.run("bley", "check-config")
    assert debian.run("bleygraph", check=False).splitlines()[-1].endswith(": apt install python3-matplotlib")
    assert sorted(debian.path("/usr/lib/bley").rglob("*")) == before
    assert debian.run("dpkg", "--verify", "bley") == ""


def test_man_pages_and_completion_have_their_places(debian: DebianRoot) -> None:
    for file in (
        "share/man/man1/bley.1.gz",
        "share/man/man1/bleygraph.1.gz",
        "share/man/man5/bley.conf.5.gz",
        "share/doc/bley/README.md",
        "share/doc/bley/docs/install.md",
        "share/doc/bley/contrib/exim-acl.conf",
        "share/doc/bley/changelog.gz",
    ):
        assert debian.path(f"/usr/{file}").exists(), file
    for file in (
        "bash-completion/completions/bley",
        "zsh/vendor-completions/_bley",
        "fish/vendor_completions.d/bley.fish",
    ):
        assert "bleygraph" in debian.path(f"/usr/share/{file}").read_text(), file


def test_documents_and_examples_name_files_of_the_package(debian: DebianRoot) -> None:
    """All but the two documents for developers, who have the source."""
    folder = debian.path("/usr/share/doc/bley")
    documents = [*folder.glob("*.md"), *folder.glob("docs/*.md"), *folder.glob("examples/**/*.md")]
    links = {(file, link) for file in documents for link in re.findall(r"\]\((?!\w+:|#)([^)#]+)", file.read_text())}
    missing = {link for file, link in links if not file.parent.joinpath(link).exists()}
    assert missing == {"ARCHITECTURE.md", "CONTRIBUTING.md"}
    units = debian.path("/lib/systemd/system")
    assert "/usr/bin/bley report" in (units / "bley-report.service").read_text()
    assert not list(debian.path("/etc/systemd/system").glob("*/bley-report.*")), (
        "its timer is the administrator's choice"
    )
    for unit in folder.glob("examples/*.service"):
        [program] = re.findall(r"(?m)^ExecStart=(\S+)", unit.read_text())
        assert debian.path(program).is_symlink(), unit


def test_from_its_installation_to_its_purge(debian: DebianRoot, package: Path, tmp_path: Path) -> None:
    """The first answer, an upgrade that keeps what the administrator has changed, and a removal that keeps all data."""
    conf, store = debian.path(CONF), debian.path("/var/lib/bley")
    assert owner(conf, debian) == "root:bley 640"
    assert [owner(folder, debian) for folder in (store, debian.path("/var/log/bley"))] == ["bley:bley 750"] * 2
    assert owner(debian.path("/usr/lib/bley"), debian) == "root:root 755"

    changed = change_settings(debian)
    with running(debian):
        assert ask(debian) == "action=DEFER_IF_PERMIT greylisted, try again later"
    conf.chmod(0o600)
    others = [debian.path("/etc/bley/whitelist_clients.local"), debian.path("/etc/bley/password")]
    for file in others:
        file.write_text("192.0.2.77\n")
        file.chmod(0o644)

    upgrade = newer(package, tmp_path / "newer")
    debian.install(upgrade, options=("-o", "Dpkg::Options::=--force-confold"))
    assert (conf.read_text(), owner(conf, debian)) == (changed, "root:bley 600")
    assert conf.with_suffix(".conf.dpkg-dist").read_text().endswith("# of the newer package\n")
    conf.chmod(0o640)
    with running(debian):
        assert ask(debian) == "action=DEFER_IF_PERMIT greylisted, try again later"
    assert [owner(file, debian) for file in others] == ["root:root 644"] * 2

    records = debian.run("bley", "export")
    assert "a@example.com" in records
    debian.run("apt-get", "remove", "-q", "-y", "bley")
    assert not debian.path("/usr/lib/bley").exists()
    assert not debian.path("/usr/bin/bley").is_symlink()
    assert conf.read_text() == changed
    assert store.joinpath("bley.db").exists()

    debian.install(upgrade)
    assert debian.run("bley", "export") == records

    debian.run("apt-get", "purge", "-q", "-y", "bley")
    left = debian.run(
        "find", "/etc", "/usr", "/var/lib", "/var/log", "-path", "*bley*", "-not", "-path", "/var/lib/dpkg/*"
    )
    assert left == ""
    debian.install(package)
    assert owner(conf, debian) == "root:bley 640"


def test_over_an_installation_by_pip(debian: DebianRoot, package: Path) -> None:
    """Its unit and its link have priority, so they are named; user and settings of the administrator stay."""
    debian.run("apt-get", "purge", "-q", "-y", "bley")
    debian.run("deluser", "--quiet", "bley")
    debian.run("useradd", "--user-group", "bley")
    unit, link = debian.path("/etc/systemd/system/bley.service"), debian.path("/usr/local/bin/bley")
    unit.parent.mkdir(parents=True, exist_ok=True)
    unit.write_text("[Service]\nExecStart=/usr/local/bin/bley serve\n")
    link.touch()
    debian.path("/etc/bley").mkdir()
    own = PROJECT.joinpath("contrib/bley.conf").read_text() + "mode = observe\n"
    debian.path(CONF).write_text(own)
    debian.path(CONF).chmod(0o644)
    said = debian.install(package, options=("-o", "Dpkg::Options::=--force-confold"))
    assert "rm /etc/systemd/system/bley.service && systemctl daemon-reload" in said
    assert "rm /usr/local/bin/bley" in said
    assert (debian.path(CONF).read_text(), owner(debian.path(CONF), debian)) == (own, "root:bley 640")
    assert owner(debian.path("/var/lib/bley"), debian) == "bley:bley 750"
    unit.unlink()
    link.unlink()


DYNAMIC_UNIT = """[Service]
Type=notify
ExecStart=/usr/local/bin/bley serve -c /etc/bley/bley.conf
DynamicUser=yes
User=bley
StateDirectory=bley
WorkingDirectory=/var/lib/bley
[Install]
WantedBy=multi-user.target
"""
"""Of bley 3.0.0.dev0."""


def test_systemd_runs_it_over_a_unit_with_a_dynamic_user(package: Path, tmp_path: Path) -> None:
    """The user outlives the unit, once this is removed as the installation says; the records stay."""
    if platform.freedesktop_os_release().get("VERSION_CODENAME") != RELEASE:
        pytest.skip("the package is for another release than that of this machine")
    settings = "".join(f"{key} = {value}\n" for key, value in {**DEFAULTS, "dbpath": "/var/lib/bley"}.items())
    files = {"/etc/systemd/system/bley.service": DYNAMIC_UNIT, CONF: f"[bley]\n{settings}"}
    with Machine(tmp_path, files) as machine:
        machine.run("sh", "-c", "userdel bley && rm -f /usr/sbin/policy-rc.d")
        machine.run("systemctl", "enable", "--now", "bley")
        shutil.copy(package, machine.path("/root/bley.deb"))
        said = machine.run("dpkg", "--force-confold", "-i", "/root/bley.deb")
        [remedy] = re.findall(r"(?m)^ +(rm /etc/systemd/system/bley.service && .*)", said)
        assert machine.run("getent", "-s", "files", "passwd", "bley").startswith("bley:")
        machine.run("sh", "-c", f"{remedy} && rm /usr/local/bin/bley")
        machine.wait("active")
        assert machine.show("FragmentPath")[0].endswith("/lib/systemd/system/bley.service")
        assert machine.run("stat", "-c", "%F %U", "/var/lib/bley") == "directory bley"
        machine.run("dpkg", "--purge", "bley")
        assert machine.show("ActiveState", "LoadState") == ["inactive", "not-found"]
