"""The dashboard's pages: the overview, the search, a decision."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler

from bley.core.errors import StoreError
from bley.core.history.advice import advice
from bley.core.history.outcome import format_duration
from bley.core.history.search import StoredDecision
from bley.core.quantity import quantity
from bley.log.decision_line import line_of
from bley.store.history import SEARCH_SECONDS
from bley.web.dashboard_data import DashboardData, OverviewData
from bley.web.decision_search import read_decision_search, read_period
from bley.web.evidence import findings, sums
from bley.web.health_summary import summarize_health
from bley.web.overview import overview, waiting_rows
from bley.web.rendering import STATIC, render

__all__ = ["Pages", "decision_of", "errors_as_pages", "or_400"]

_STATIC = ("style.css", "live.js", "icon.svg")
_SHOWN_WAITING = 10
"""On the overview; CSV and JSON have more."""

_T = TypeVar("_T")


class Pages:
    """Answers with pages made from `source`."""

    def __init__(self, source: DashboardData) -> None:
        self._source = source

    def routes(self) -> list[web.RouteDef]:
        """The routes of all pages."""
        return [
            web.get("/", self._show_overview),
            web.get("/search", self._show_search),
            web.get(r"/decision/{number:[0-9-]+}", self._show_decision),
            web.get(f"/static/{{name:{'|'.join(_STATIC)}}}", _show_static),
        ]

    async def _show_overview(self, request: web.Request) -> web.Response:
        period = or_400(read_period, request)
        source = self._source
        settings = source.configuration.settings
        looked, report = await asyncio.gather(source.overview(period), source.shown.report_state())
        fault = "" if isinstance(looked, OverviewData) else str(looked)
        return await _page(
            "overview.html",
            path="/",
            period=period,
            condition=summarize_health(report, source.place, fault),
            fault=fault,
            timing=settings.timing,
            observes=settings.mode == "observe",
            now=source.clock(),
            looked=looked,
            told=await asyncio.to_thread(overview, looked, settings.timing)
            if isinstance(looked, OverviewData)
            else None,
            shown_waiting=_SHOWN_WAITING,
        )

    async def _show_search(self, request: web.Request) -> web.Response:
        asked = or_400(read_decision_search, request)
        settings = self._source.configuration.settings
        found = await self._source.found(asked)
        return await _page(
            "search.html",
            path="/search",
            q=asked.q,
            asked=asked,
            found=found.decisions,
            older=asked.link(before=found.older) if found.older else "",
            ended_after=None if found.is_whole else SEARCH_SECONDS,
            records=waiting_rows(found.records, settings.timing, found.now),
            kept_for=_in_words(settings.log_days),
            now=found.now,
        )

    async def _show_decision(self, request: web.Request) -> web.Response:
        decision = await decision_of(self._source, request)
        kept_under = await self._source.kept_under(decision)
        return await _page(
            "decision.html",
            decision=decision,
            line=line_of(decision),
            findings=findings(decision.details),
            sums=sums(decision.details, self._source.configuration.settings.thresholds),
            sequel=await self._source.deferral_outcome(decision),
            advice=advice(decision, self._source.configuration.list_files, kept_under),
            now=self._source.clock(),
        )


def _in_words(lifetime: timedelta) -> str:
    return quantity(lifetime.days, "day") if lifetime % timedelta(days=1) == timedelta(0) else format_duration(lifetime)


async def _show_static(request: web.Request) -> web.FileResponse:
    return web.FileResponse(STATIC / request.match_info["name"], headers={"Cache-Control": "no-cache"})


async def decision_of(source: DashboardData, request: web.Request) -> StoredDecision:
    """The decision that the address names. Raises HTTPNotFound, and StoreError."""
    decision = await source.decision(request.match_info["number"])
    if decision is None:
        raise web.HTTPNotFound(text="There is no such decision, or it was forgotten after log_days.\n")
    return decision


def or_400(read: Callable[[Mapping[str, str]], _T], request: web.Request) -> _T:
    """What is read from the query. Raises HTTPBadRequest where that raises ValueError."""
    try:
        return read(request.query)
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"{error}\n") from error


@web.middleware
async def errors_as_pages(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Who looks with a browser gets a page that says what is wrong, others a line; without the store there is 503."""
    try:
        return await handler(request)
    except StoreError as error:
        status, title, words = 503, "The store cannot be used", f"{error}\n"
    except web.HTTPException as error:
        status, title, words = error.status, error.reason, error.text or ""
        if status < 400:
            raise
    if "text/html" not in request.headers.get("Accept", ""):
        return web.Response(text=words.rstrip() + "\n", status=status)
    return await _page("error.html", status, title=title, words="" if words.startswith(f"{status}:") else words)


async def _page(template: str, status: int = 200, **values: Any) -> web.Response:
    text = await render(template, **({"q": "", "path": ""} | values))
    return web.Response(text=text, content_type="text/html", status=status, headers={"Cache-Control": "no-store"})
