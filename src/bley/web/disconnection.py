"""A page is not made to the end for a reader that has gone: the database would work for nobody."""

import asyncio

from aiohttp import web
from aiohttp.typedefs import Handler

__all__ = ["cancel_on_disconnect"]

_LOOK_SECONDS = 0.25
"""How often the connection is looked at while a page is made. aiohttp could cancel its handlers itself, but would
cancel the check of a password as well, whose failures must be counted."""


@web.middleware
async def cancel_on_disconnect(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Cancel the handler when the connection has ended."""
    answering = asyncio.ensure_future(handler(request))
    try:
        while not answering.done():
            await asyncio.wait({answering}, timeout=_LOOK_SECONDS)
            if request.transport is None and not answering.done():
                return web.Response(status=503)  # which nobody reads
        return answering.result()
    finally:
        answering.cancel()
