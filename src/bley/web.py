"""What the running bley shows of itself at `web_listen`: `/metrics` for Prometheus, `/lists` for `bley lists`."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from ipaddress import ip_address

from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from yarl import URL

from bley.checks.list_report import DnsReport, ListReport
from bley.core.errors import Fault, SettingsError
from bley.core.list_health import ListState
from bley.metrics import REGISTRY

__all__ = ["ListMetrics", "Web"]


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


class ListMetrics:
    """The lists as metrics: a collector of prometheus-client's."""

    def __init__(self, reports: Sequence[ListReport], *, dns_is_silent: bool) -> None:
        self._reports = {report["name"]: report for report in reports}  # one in two settings is the same list
        self._dns_is_silent = dns_is_silent

    def collect(self) -> Iterator[Metric]:
        """The families, each with a sample a list."""
        yield GaugeMetricFamily(
            "bley_dns_silent", "1 while the DNS gives no usable answer, else 0.", value=float(self._dns_is_silent)
        )
        well = GaugeMetricFamily("bley_list_well", "1 while the list is well, else 0.", labels=["list", "ip"])
        latency = GaugeMetricFamily(
            "bley_list_latency_seconds",
            "How long the last answers took that told something.",
            labels=["list", "quantile"],
        )
        for name, report in self._reports.items():
            state, state_ipv6 = report["state"], report["state_ipv6"]
            if state != ListState.NOT_SERVED:
                well.add_metric([name, "4"], float(state == ListState.WELL))
            if state_ipv6 != ListState.NOT_SERVED:  # who is ill for IPv4 clients is ill
                well.add_metric([name, "6"], float({state, state_ipv6} <= {ListState.WELL, ListState.NOT_SERVED}))
            for quantile, seconds in (("0.5", report["median_seconds"]), ("0.95", report["p95_seconds"])):
                if seconds is not None:
                    latency.add_metric([name, quantile], seconds)
        yield from (well, latency)
