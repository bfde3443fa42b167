"""Addresses of pages."""

from collections.abc import Mapping
from urllib.parse import urlencode

__all__ = ["link"]


def link(path: str, query: Mapping[str, str]) -> str:
    """The page with this query; what is empty is left out."""
    told = {name: value for name, value in query.items() if value}
    return f"{path}?{urlencode(told, errors='backslashreplace')}" if told else path
