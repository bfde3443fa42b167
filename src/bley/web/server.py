"""Listens at `web_listen` and answers whom it may; what it shows is in the modules beside, each with its routes."""

from ipaddress import ip_address

from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client.registry import Collector
from yarl import URL

from bley.core.errors import Fault, SettingsError
from bley.metrics import REGISTRY
from bley.web import health, lists, metrics
from bley.web.shown import Shown

__all__ = ["Web"]


class Web:
    """Shows a running bley, and what is counted of it; read-only."""

    def __init__(self, shown: Shown, counted: Collector = REGISTRY) -> None:
        application = web.Application(middlewares=[_own_names_only])
        application.add_routes([*health.routes(shown), *lists.routes(shown), *metrics.routes(shown, counted)])
        self._runner = web.AppRunner(application, access_log=None)

    async def listen(self, host: str, port: int) -> str:
        """Listen, and say where. Raises SettingsError when that cannot be."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError as error:
            raise SettingsError([Fault("web_listen", 0, f"cannot listen at {host} port {port}: {error}")]) from error
        host, port, *_ = self._runner.addresses[0]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def close(self) -> None:
        """Finish what is in flight and let go of the port."""
        await self._runner.cleanup()


@web.middleware
async def _own_names_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Whoever is asked as somebody else's name must not answer: a foreign page could read it (DNS rebinding)."""
    if request.path not in health.PATHS and not _is_loopback(request.host):
        raise web.HTTPForbidden(text="ask by the address of web_listen, or as localhost\n")
    return await handler(request)


def _is_loopback(host_and_port: str) -> bool:
    try:
        host = URL.build(scheme="http", authority=host_and_port).host or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
