"""`/metrics`: counters, the gauges of the daemon's state, and the resources of its processes, for Prometheus."""

from aiohttp import web
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from bley.web.monitored_daemon import MonitoredDaemon
from bley.web.process_metrics import ProcessMetrics
from bley.web.state_metrics import StateMetrics

__all__ = ["routes"]


def routes(daemon: MonitoredDaemon, counters: Collector) -> list[web.RouteDef]:
    """Return the route. While no worker answers, the gauges of the state are missing."""

    async def show_metrics(_: web.Request) -> web.Response:
        report = await daemon.report_state()
        collectors = [counters, ProcessMetrics(daemon.process_ids())]
        if report is not None:
            collectors.append(StateMetrics(report))
        text = b"".join(map(generate_latest, collectors))
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    return [web.get("/metrics", show_metrics)]
