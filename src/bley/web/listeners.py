"""`/listeners`: which bley this is, and where it listens for policy requests, as JSON for bley's commands.

systemd or `listen_port = 0` may choose another place than the settings name.
"""

from aiohttp import web

from bley.web.monitored_daemon import MonitoredDaemon

__all__ = ["routes"]


def routes(daemon: MonitoredDaemon) -> list[web.RouteDef]:
    """Return the route."""

    async def show_listeners(_: web.Request) -> web.Response:
        return web.json_response({"file": daemon.settings_file, "listeners": list(daemon.places)})

    return [web.get("/listeners", show_listeners)]
