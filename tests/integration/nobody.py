"""Work as a user without rights, for tests of files that bley's user may not use."""

import codecs
import os
from collections.abc import Callable
from tempfile import TemporaryFile

__all__ = ["NOBODY", "as_nobody"]

NOBODY = 65534


def as_nobody(work: Callable[[], str]) -> str:
    """Return the result of the work in a fork without privileges; the interpreter may be out of nobody's reach."""
    for name in ("utf-8-sig", "idna", "punycode"):
        codecs.lookup(name)  # imported now, since nobody cannot
    with TemporaryFile() as said:
        if not (child := os.fork()):
            try:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
                os.write(said.fileno(), work().encode())
            except BaseException as error:  # noqa: BLE001 (the fork must not run the rest of the tests)
                os.write(said.fileno(), repr(error).encode())
            os._exit(0)
        os.waitpid(child, 0)
        said.seek(0)
        return said.read().decode()
