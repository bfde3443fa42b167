"""Errors as pages for browsers and as plain text for other clients: what failed, and what the user should do."""

import logging
from collections.abc import Mapping
from html import escape
from typing import NamedTuple

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from bley.core.errors import StoreError
from bley.web.formatting import capitalized
from bley.web.rendering import render

__all__ = ["errors_as_pages", "refusals_as_pages"]

_log = logging.getLogger(__name__)


class _Words(NamedTuple):
    title: str
    remedy: str


_WORDS: Mapping[int, _Words] = {
    400: _Words("bley does not understand this address", "Correct the address, or start from the overview."),
    401: _Words(
        "The dashboard of bley requires its password",
        "Reload the page and enter it, with any user name. "
        "If it is lost, `bley web-password FILE` sets a new one, where FILE is that of web_password_file.",
    ),
    403: _Words("bley refuses this request", "The section Access of docs/dashboard.md describes who is answered."),
    404: _Words("bley has no such page", "Correct the address, search, or start from the overview."),
    405: _Words("bley's pages can only be read", "Use GET or HEAD."),
    429: _Words("Too many wrong passwords for bley", "Wait some seconds, then reload the page."),
    500: _Words("bley has a defect", "Its log has the details; please report them. Mail is not affected."),
    503: _Words(
        "bley cannot show this now", "Mail is still answered. Reload the page in a moment; the log of bley has details."
    ),
}
_OTHER = _Words("bley cannot answer this request", "Start from the overview.")

_STORE = _Words(
    "The store of bley is unavailable",
    "Mail is still answered, as on_store_error says. Reload the page when the store is back; the log has details.",
)

_REFUSAL = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>{title}</title></head>
<body><main><h1>{title}</h1><p>{words}</p><p>{remedy}</p><p><a href="/">Try again</a></p></main></body>
</html>
"""
"""The page of a refused request. It has no style, since the style sheet is refused too."""


@web.middleware
async def refusals_as_pages(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn refusals of the access control into pages. They reveal nothing of the dashboard, and need no template."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        shown = _page_values(error, _WORDS.get(error.status, _OTHER))
        return _response(request, error, _REFUSAL.format_map({name: escape(each) for name, each in shown.items()}))


@web.middleware
async def errors_as_pages(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn the errors of a page into a page. A StoreError is status 503, and a bug is logged with its traceback."""
    try:
        return await handler(request)
    except StoreError as raised:
        error: web.HTTPException = web.HTTPServiceUnavailable(text=str(raised))
        words = _STORE
    except web.HTTPException as raised:
        if raised.status < web.HTTPBadRequest.status_code:
            raise
        error, words = raised, _WORDS.get(raised.status, _OTHER)
    except Exception:  # noqa: BLE001 (logged; without this, aiohttp answers it with a page of its own)
        _log.exception("the page %s failed: please report it", request.path)
        error, words = web.HTTPInternalServerError(), _WORDS[500]
    query = request.query.get("q", "")
    return _response(request, error, await render("error.html", path="", q=query, **_page_values(error, words)))


def _page_values(error: web.HTTPException, words: _Words) -> dict[str, str]:
    text = (error.text or "").strip()
    if text.startswith(f"{error.status}:"):  # aiohttp's own words
        text = ""
    sentence = f"{text}." if text and not text.endswith(".") else text
    return {"title": words.title, "words": capitalized(sentence), "remedy": words.remedy}


def _response(request: web.Request, error: web.HTTPException, page: str) -> web.Response:
    """Return the page, or for other clients than browsers the error's text; with the error's headers."""
    headers = error.headers.copy()
    for name in (hdrs.CONTENT_TYPE, hdrs.CONTENT_LENGTH):
        headers.pop(name, None)
    headers[hdrs.CACHE_CONTROL] = "no-store"
    if "text/html" not in request.headers.get(hdrs.ACCEPT, ""):
        return web.Response(text=f"{(error.text or '').rstrip()}\n", status=error.status, headers=headers)
    return web.Response(text=page, content_type="text/html", status=error.status, headers=headers)
