"""A download of all decisions that match a search: read and sent page by page, so that memory has a bound.

The next page is read when the previous one is sent. A reader that leaves ends the search.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from aiohttp import web

from bley.core.history.search import StoredDecision
from bley.store.history import PartialResult
from bley.web.compression import accepts_gzip
from bley.web.tables import csv_lines, decisions_table, json_items

__all__ = ["MOST_SECONDS", "stream_decisions"]

_PAGE = 500
"""Decisions of one page: some 20 ms to read."""

MOST_SECONDS = 300.0
"""The time of a download. At some 20,000 decisions a second it suffices for millions."""

ReadPage = Callable[[int, str], Awaitable[Sequence[StoredDecision]]]
"""Returns at most so many decisions, older than the one of this number."""


async def stream_decisions(request: web.Request, read: ReadPage, headers: dict[str, str]) -> web.StreamResponse:
    """Send all decisions as CSV or JSON. If the time is over, a last line says where the rest begins.

    The first page is read before the header is sent. Raises StoreError until then; later, the connection is cut.
    """
    is_json = request.match_info["format"] == "json"
    response = web.StreamResponse(headers=headers)
    response.content_type = "application/json" if is_json else "text/csv"
    response.charset = "utf-8"
    if accepts_gzip(request):
        response.enable_compression(web.ContentCoding.gzip)
    is_first = True
    async for page, unfinished in _pages(read):
        table = decisions_table(page)
        if not response.prepared:
            await response.prepare(request)
            await response.write(b"[" if is_json else csv_lines([table.columns]).encode())
        if is_json:
            items = json_items(table) + ([_unfinished_item(unfinished)] if unfinished else [])
            text = "".join(("" if is_first and not number else ",\n") + item for number, item in enumerate(items))
        else:
            text = csv_lines(table.rows) + (csv_lines([["unfinished", _rest(unfinished)]]) if unfinished else "")
        is_first = is_first and not text
        await response.write(text.encode())
    if is_json:
        await response.write(b"]\n")
    await response.write_eof()
    return response


async def _pages(read: ReadPage) -> AsyncIterator[tuple[Sequence[StoredDecision], str]]:
    """Yield each page, with the number before which the rest begins if the time is over, else an empty text."""
    begun, before = time.monotonic(), ""
    while True:
        page = await read(_PAGE, before)
        if isinstance(page, PartialResult):
            before = page.before
        elif len(page) < _PAGE:
            yield page, ""
            return
        else:
            before = page[-1].number
        if time.monotonic() - begun > MOST_SECONDS:
            yield page, before
            return
        yield page, ""


def _rest(before: str) -> str:
    return f"the time of {MOST_SECONDS:g} s is over: the rest is before={before}"


def _unfinished_item(before: str) -> str:
    return f'{{"unfinished": "{_rest(before)}", "before": "{before}"}}'
