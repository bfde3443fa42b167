"""URLs of pages."""

from collections.abc import Mapping
from urllib.parse import urlencode

__all__ = ["page_url", "with_parameter"]


def page_url(path: str, query: Mapping[str, str]) -> str:
    """Return the page's URL with this query string; empty parameters are left out."""
    parameters = {name: value for name, value in query.items() if value}
    return f"{path}?{urlencode(parameters, errors='backslashreplace')}" if parameters else path


def with_parameter(url: str, name: str, value: str) -> str:
    """Return the URL with one more parameter."""
    return f"{url}{'&' if '?' in url else '?'}{urlencode({name: value})}"
