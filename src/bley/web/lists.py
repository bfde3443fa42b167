"""`/lists`: how the DNS lists do, as JSON for `bley lists`."""

from aiohttp import web

from bley.web.monitored_daemon import MonitoredDaemon, state_or_503

__all__ = ["routes"]


def routes(shown: MonitoredDaemon) -> list[web.RouteDef]:
    """Its route."""

    async def show_lists(_: web.Request) -> web.Response:
        return web.json_response((await state_or_503(shown)).lists)

    return [web.get("/lists", show_lists)]
