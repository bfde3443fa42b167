"""Cancellation of requests whose client has disconnected, so that the database does not work for nothing."""

import asyncio

from aiohttp import web
from aiohttp.typedefs import Handler

__all__ = ["cancel_on_disconnect"]

_POLL_SECONDS = 0.25
"""aiohttp can cancel handlers itself, but would also cancel the check of a password, whose failure must be counted."""


@web.middleware
async def cancel_on_disconnect(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Cancel the handler when the connection has closed."""
    response = asyncio.ensure_future(handler(request))
    try:
        while not response.done():
            await asyncio.wait({response}, timeout=_POLL_SECONDS)
            if request.transport is None and not response.done():
                return web.Response(status=503)  # the client does not receive it
        return response.result()
    finally:
        response.cancel()
