"""`/healthz` and `/readyz`: the liveness and readiness probes for supervisors and load balancers.

They reveal so little that they need neither a password nor a known Host header: Kubernetes probes the pod's address.
"""

from aiohttp import web

from bley.status import StateReport
from bley.web.monitored_daemon import MonitoredDaemon, state_or_503

__all__ = ["PATHS", "routes"]

PATHS = frozenset({"/healthz", "/readyz"})


def routes(daemon: MonitoredDaemon) -> list[web.RouteDef]:
    """Return the routes of both probes."""

    async def show_liveness(_: web.Request) -> web.Response:
        if not await daemon.is_alive():
            raise web.HTTPServiceUnavailable(text="no worker answers\n")
        return web.Response(text="ok\n")

    async def show_readiness(request: web.Request) -> web.Response:
        troubles = _troubles(await state_or_503(daemon))
        status = 503 if troubles else 200
        if _accepts_json(request):
            return web.json_response({"ready": not troubles, "troubles": troubles}, status=status)
        lines = [f"{component}: {trouble}\n" for component, trouble in troubles.items()]
        return web.Response(text="".join(lines) or "ok\n", status=status)

    return [web.get("/healthz", show_liveness), web.get("/readyz", show_readiness)]


def _troubles(report: StateReport) -> dict[str, str]:
    troubles = {}
    if report.store_is_down:
        troubles["store"] = "unavailable; on_store_error decides how requests are answered"
    if report.dns_is_silent:
        troubles["dns"] = "gives no usable answer; checks that need it count 0"
    return troubles


def _accepts_json(request: web.Request) -> bool:
    return request.query.get("format") == "json" or "application/json" in request.headers.get("Accept", "")
