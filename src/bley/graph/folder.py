"""Files for a web server: each is there as a whole, the old one or the new one."""

import secrets
from pathlib import Path

__all__ = ["write_whole"]


def write_whole(file: Path, content: bytes) -> None:
    """Put this in the place of what is there, with the rights that new files get. Raises OSError."""
    # Not tempfile's, which nobody else may read; "x" follows no link.
    part = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    try:
        with part.open("xb") as opened:
            opened.write(content)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
