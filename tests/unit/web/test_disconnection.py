"""Clients of the dashboard that leave before their answer."""

import asyncio
import contextlib

import pytest
from aiohttp import ClientError, ClientSession, web
from aiohttp.test_utils import TestServer, make_mocked_request

from bley.web.disconnection import cancel_on_disconnect


async def test_a_handler_that_cannot_write_has_no_defect() -> None:
    """A download writes its header after the first search, when the client may have left."""
    has_left, outcome = asyncio.Event(), asyncio.get_running_loop().create_future()

    async def download(request: web.Request) -> web.StreamResponse:
        await has_left.wait()
        response = web.StreamResponse()
        await response.prepare(request)
        return response

    @web.middleware
    async def watch(request: web.Request, handler: object) -> web.StreamResponse:
        transport = request.transport
        assert transport is not None
        transport.close()
        has_left.set()
        try:
            response = await cancel_on_disconnect(request, download)
        except Exception as error:  # what the middleware around it would report as a defect
            outcome.set_exception(error)
            raise
        outcome.set_result(response.status)
        return response

    application = web.Application(middlewares=[watch])
    application.router.add_get("/search.csv", download)
    async with TestServer(application) as server, ClientSession() as client:
        with contextlib.suppress(ClientError):
            await client.get(server.make_url("/search.csv"))
        assert await asyncio.wait_for(outcome, 10) == 503


async def test_an_error_of_another_connection_stays_one() -> None:
    class Transport(asyncio.Transport):
        def is_closing(self) -> bool:
            return False

        def get_extra_info(self, name: str, default: object = None) -> object:
            return default

    async def fail(_: web.Request) -> web.StreamResponse:
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await cancel_on_disconnect(make_mocked_request("GET", "/", transport=Transport()), fail)
