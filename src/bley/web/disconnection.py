"""Cancellation of requests whose client has disconnected, so that the database does not work for nothing."""

import asyncio

from aiohttp import web
from aiohttp.typedefs import Handler

__all__ = ["cancel_on_disconnect"]

_POLL_SECONDS = 0.25
"""aiohttp can cancel handlers itself, but would also cancel the check of a password, whose failure must be counted."""


@web.middleware
async def cancel_on_disconnect(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Cancel the handler when the connection has closed. That it cannot write then is no error."""
    response = asyncio.ensure_future(handler(request))
    try:
        while not response.done():
            await asyncio.wait({response}, timeout=_POLL_SECONDS)
            if request.transport is None and not response.done():
                return _unsent()
        return response.result()
    except ConnectionResetError:
        if request.transport is None or request.transport.is_closing():
            return _unsent()
        raise
    finally:
        response.cancel()


def _unsent() -> web.Response:
    """Return a response that the client does not receive."""
    return web.Response(status=503)
