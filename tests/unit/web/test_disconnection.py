"""Clients of the dashboard that leave before their answer."""

import asyncio

import pytest
from aiohttp import ClientConnectionResetError, web
from aiohttp.test_utils import make_mocked_request

from bley.web.disconnection import cancel_on_disconnect


class Transport(asyncio.Transport):
    def __init__(self, *, is_closing: bool) -> None:
        super().__init__()
        self._is_closing = is_closing

    def is_closing(self) -> bool:
        return self._is_closing

    def get_extra_info(self, name: str, default: object = None) -> object:
        return default


async def _write_too_late(_: web.Request) -> web.StreamResponse:
    raise ClientConnectionResetError("Cannot write to closing transport")


async def test_a_handler_that_cannot_write_has_no_defect() -> None:
    """A download writes its header after the first search, when the client may have left."""
    request = make_mocked_request("GET", "/search.csv", transport=Transport(is_closing=True))
    assert (await cancel_on_disconnect(request, _write_too_late)).status == 503


async def test_an_error_of_another_connection_stays_one() -> None:
    request = make_mocked_request("GET", "/search.csv", transport=Transport(is_closing=False))
    with pytest.raises(ConnectionResetError):
        await cancel_on_disconnect(request, _write_too_late)
