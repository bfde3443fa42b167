"""What the running bley shows of itself at `web_listen`: `/metrics` for Prometheus, `/lists` for `bley lists`."""

from collections.abc import Awaitable, Callable
from ipaddress import ip_address

from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from yarl import URL

from bley.checks.list_report import DnsReport
from bley.core.errors import Fault, SettingsError
from bley.metrics import REGISTRY
from bley.web.list_metrics import ListMetrics

__all__ = ["Web"]


class Web:
    """Shows what `report_dns` tells at that moment, None if nobody can tell, and what is counted; read-only."""

    def __init__(self, report_dns: Callable[[], Awaitable[DnsReport | None]], counted: Collector = REGISTRY) -> None:
        self._report_dns, self._counted = report_dns, counted
        application = web.Application(middlewares=[_own_names_only])
        application.router.add_get("/lists", self._show_lists)
        application.router.add_get("/metrics", self._show_metrics)
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

    async def _show_lists(self, _: web.Request) -> web.Response:
        report = await self._report_dns()
        if report is None:
            raise web.HTTPServiceUnavailable(text="no worker answers\n")
        return web.json_response(report.lists)

    async def _show_metrics(self, _: web.Request) -> web.Response:
        report = await self._report_dns()
        text = generate_latest(self._counted)
        if report is not None:
            text += generate_latest(ListMetrics(report.lists, dns_is_silent=report.is_silent))
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})


@web.middleware
async def _own_names_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Whoever is asked as somebody else's name must not answer: a foreign page could read it (DNS rebinding)."""
    if not _is_loopback(request.host):
        raise web.HTTPForbidden(text="ask by the address of web_listen, or as localhost\n")
    return await handler(request)


def _is_loopback(host_and_port: str) -> bool:
    try:
        host = URL.build(scheme="http", authority=host_and_port).host or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
