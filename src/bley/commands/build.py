"""Which of the two wheels is installed: the pure one, or that which mypyc has compiled."""

from importlib.util import find_spec

from bley import __version__

__all__ = ["described_version", "is_compiled"]


def is_compiled() -> bool:
    """Return whether the modules that each request runs through are compiled."""
    spec = find_spec("bley.core.wire")
    return spec is not None and not str(spec.origin).endswith(".py")


def described_version() -> str:
    """Return the version, and whether it is compiled."""
    return f"{__version__} (compiled)" if is_compiled() else __version__
