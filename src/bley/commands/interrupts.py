"""Ctrl-C while modules are imported, which takes up to a second.

Python would show the traceback of the import. Some libraries even take the KeyboardInterrupt for a missing module, and
go on. Nothing has to be cleaned up yet, so the signal itself may end the process: quietly, with status 130 in a shell.
"""

import contextlib
import signal
from collections.abc import Iterator

__all__ = ["ending_at_interrupt"]


@contextlib.contextmanager
def ending_at_interrupt() -> Iterator[None]:
    """Let SIGINT end the process during the block, unless it is ignored or a command handles it."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
