"""A minimal Debian in a folder, in which a test installs packages and runs programs as their users would."""

import shutil
import subprocess
from pathlib import Path

__all__ = ["DebianRoot"]


class DebianRoot:
    """A Debian made by debootstrap; `run` calls programs in it. Needs root."""

    def __init__(self, folder: Path, release: str) -> None:
        self.folder = folder
        # As a new system has it, without what was made for speed: it is gone after the test.
        subprocess.run(["debootstrap", "--variant=minbase", release, folder], check=True, stdout=subprocess.DEVNULL)
        folder.chmod(0o755)  # that of a temporary folder keeps other users out
        folder.joinpath("etc/dpkg/dpkg.cfg.d/unsafe").write_text("force-unsafe-io\n")

    def path(self, name: str) -> Path:
        """Return the path outside of a file inside, such as /etc/passwd."""
        return self.folder / name.lstrip("/")

    def run(self, *command: str, user: str = "root", check: bool = True) -> str:
        """Return the output, errors included, of a program with a plain environment; the test fails if it does."""
        done = subprocess.run(
            self.command(*command, user=user),
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}"
        return done.stdout

    def command(self, *command: str, user: str = "root") -> list[str]:
        """Return the command that runs a program inside, for Popen."""
        return ["chroot", f"--userspec={user}:{user}", str(self.folder), *command]

    def install(self, *packages: Path | str, options: tuple[str, ...] = ()) -> str:
        """Install packages by name, or from files outside, with what they depend on; return apt's output."""
        names = list[str]()
        for package in packages:
            if isinstance(package, Path):
                shutil.copy(package, self.path("/root"))
                names.append(f"/root/{package.name}")
            else:
                names.append(package)
        return self.run("apt-get", "install", "-q", "-y", "--no-install-recommends", *options, *names)


ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "DEBIAN_FRONTEND": "noninteractive",
}
