"""The programs of a mail server: `/usr/sbin` is missing in the PATH of users and of many monitoring agents."""

import os
import shutil
import subprocess

__all__ = ["run_program"]

_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/sbin")
_SECONDS = 20.0


def run_program(*command: str) -> "subprocess.CompletedProcess[bytes] | None":
    """Run the program and return its result; None if it is not on this machine. Raises OSError."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), *_FOLDERS))
    if not (program := shutil.which(command[0], path=path)):
        return None
    try:
        # Its messages start with the name in `command`, not with the path.
        return subprocess.run(command, executable=program, capture_output=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(f"no end within {_SECONDS:g} s") from error
