"""`/metrics`: what is counted, what stands at this moment, and what the processes take, in Prometheus's form."""

from aiohttp import web
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from bley.web.monitored_daemon import MonitoredDaemon
from bley.web.process_metrics import ProcessMetrics
from bley.web.state_metrics import StateMetrics

__all__ = ["routes"]


def routes(shown: MonitoredDaemon, counted: Collector) -> list[web.RouteDef]:
    """Its route. Where nobody can tell how bley does, the rest is shown."""

    async def show_metrics(_: web.Request) -> web.Response:
        report = await shown.report_state()
        collectors = [counted, ProcessMetrics(shown.process_ids())]
        if report is not None:
            collectors.append(StateMetrics(report))
        text = b"".join(map(generate_latest, collectors))
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    return [web.get("/metrics", show_metrics)]
