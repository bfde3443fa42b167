"""`/healthz` and `/readyz`, for supervisors: does bley live, and does all answer that it needs?

They tell so little that whoever reaches them may ask, by any name: Kubernetes asks by the pod's address.
"""

from aiohttp import web

from bley.status import StateReport
from bley.web.monitored_daemon import MonitoredDaemon, state_or_503

__all__ = ["PATHS", "routes"]

PATHS = frozenset({"/healthz", "/readyz"})


def routes(shown: MonitoredDaemon) -> list[web.RouteDef]:
    """The routes of both."""

    async def show_whether_alive(_: web.Request) -> web.Response:
        if not await shown.is_alive():
            raise web.HTTPServiceUnavailable(text="no worker answers\n")
        return web.Response(text="ok\n")

    async def show_whether_ready(request: web.Request) -> web.Response:
        troubles = _troubles(await state_or_503(shown))
        status = 503 if troubles else 200
        if _wants_json(request):
            return web.json_response({"ready": not troubles, "troubles": troubles}, status=status)
        lines = [f"{what}: {trouble}\n" for what, trouble in troubles.items()]
        return web.Response(text="".join(lines) or "ok\n", status=status)

    return [web.get("/healthz", show_whether_alive), web.get("/readyz", show_whether_ready)]


def _troubles(report: StateReport) -> dict[str, str]:
    troubles = {}
    if report.store_is_down:
        troubles["store"] = "it cannot be used; requests are answered by on_store_error"
    if report.dns_is_silent:
        troubles["dns"] = "it gives no usable answer; its checks count nothing"
    return troubles


def _wants_json(request: web.Request) -> bool:
    return request.query.get("format") == "json" or "application/json" in request.headers.get("Accept", "")
