"""Download the RFC 7208 test suite into var/conformance/: `python -m tests.conformance.fetch_spf_suite`.

It is part of pyspf's source distribution on PyPI and not of bley; its license is in the same folder there.
"""

import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

__all__ = ["FetchError", "fetch"]

_FOLDER = Path(__file__).parents[2] / "var" / "conformance"
_VERSION = "2.0.14"
_SHA256 = "57a7ef01bda090173aafb6af0106251686ed73f03db4e911fcd34c57fc347186"
_MEMBER = f"pyspf-{_VERSION}/test/rfc7208-tests.yml"
_LONGEST_SECONDS = 120


class FetchError(Exception):
    """The suite could not be downloaded; the text is pip's."""


def fetch() -> Path:
    """Return the file of the suite; the second call needs no network. Raises FetchError."""
    suite = _FOLDER / Path(_MEMBER).name
    if not suite.exists():
        _FOLDER.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=_FOLDER) as folder:
            part = Path(folder) / "part"
            part.write_bytes(_from_distribution(Path(folder)))
            part.replace(suite)  # atomically: no test may read half of it
    return suite


def _from_distribution(folder: Path) -> bytes:
    wanted = folder / "wanted.txt"
    wanted.write_text(f"pyspf=={_VERSION} --hash=sha256:{_SHA256}\n")
    command = ["pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", "--retries", "1", "--timeout", "10"]
    try:
        subprocess.run(
            [sys.executable, "-m", *command, "--dest", str(folder), "--requirement", str(wanted)],
            check=True,
            capture_output=True,
            text=True,
            timeout=_LONGEST_SECONDS,
        )
    except subprocess.CalledProcessError as error:
        raise FetchError(error.stderr) from error
    except subprocess.TimeoutExpired as error:
        raise FetchError(str(error)) from error
    with tarfile.open(next(folder.glob("*.tar.gz"))) as distribution:
        member = distribution.extractfile(_MEMBER)
        assert member
        with member:
            return member.read()


if __name__ == "__main__":
    sys.stdout.write(f"{fetch()}\n")
