"""`/lists`: how the DNS lists do, as JSON for `bley lists`."""

from aiohttp import web

from bley.web.running_bley import RunningBley, state_of

__all__ = ["routes"]


def routes(shown: RunningBley) -> list[web.RouteDef]:
    """Its route."""

    async def show_lists(_: web.Request) -> web.Response:
        return web.json_response((await state_of(shown)).lists)

    return [web.get("/lists", show_lists)]
