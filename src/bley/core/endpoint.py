"""A host with a port, as the settings write it: `host:port`, with an IPv6 address in brackets."""

import re

__all__ = ["format_endpoint", "split_endpoint", "without_brackets"]

_PORT = re.compile(r"[0-9]{1,5}")
"""Stricter than int(), which accepts 5_3 and +53; c-ares does not."""


def split_endpoint(text: str, default_port: int) -> tuple[str, int]:
    """Split `host`, `host:port`, `[address]` or `[address]:port`; without brackets, an IPv6 address has no port.

    Raises ValueError for a port that is not between 0 and 65535, and for an unmatched bracket.
    """
    host, colon, port = text.rpartition(":")
    if not colon or (":" in host and not host.endswith("]")):
        host, port = text, str(default_port)
    if host.startswith("[") != host.endswith("]"):
        raise ValueError(f"{text!r} has an unmatched bracket")
    if not _PORT.fullmatch(port) or int(port) > 65535:
        raise ValueError(f"{port!r} is not a port")
    return without_brackets(host), int(port)


def format_endpoint(host: str, port: int) -> str:
    """Return `host:port`, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def without_brackets(host: str) -> str:
    """Return a host without the brackets of an IPv6 address."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host
