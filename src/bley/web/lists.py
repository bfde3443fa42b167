"""`/lists`: the health of the DNS lists, as JSON for `bley lists`."""

from aiohttp import web

from bley.web.monitored_daemon import MonitoredDaemon, state_or_503

__all__ = ["routes"]


def routes(daemon: MonitoredDaemon) -> list[web.RouteDef]:
    """Return the route."""

    async def show_lists(_: web.Request) -> web.Response:
        return web.json_response((await state_or_503(daemon)).lists)

    return [web.get("/lists", show_lists)]
