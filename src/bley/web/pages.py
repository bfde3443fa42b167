"""The dashboard's pages: overview, search, decision."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, TypeVar

from aiohttp import web

from bley.core.history.advice import advice, deferral_advice, exemptions_of, with_exempted
from bley.core.history.periods import PERIODS, Period
from bley.core.history.search import StoredDecision
from bley.core.history.worth import describe_work, describe_worth
from bley.log.decision_line import line_of
from bley.store.history import SEARCH_SECONDS
from bley.web.actions import Actions
from bley.web.background import in_background
from bley.web.changes import comparing_command
from bley.web.dashboard_data import DashboardData, OverviewData, SearchResult
from bley.web.decision_search import DecisionSearch, read_decision_search, read_period
from bley.web.evidence import evidence
from bley.web.formatting import SPELLING
from bley.web.health_summary import summarize_health
from bley.web.list_rows import ListRow, list_rows
from bley.web.observation import observation
from bley.web.overview import Overview, overview_of
from bley.web.rendering import STATIC, render
from bley.web.search_summary import SearchSummary, summarize_search
from bley.web.setup_lines import setup_lines
from bley.web.single_flight import SingleFlightCache
from bley.web.urls import page_url
from bley.web.waiting import waiting_rows

__all__ = ["Pages", "decision_or_404", "query_or_400"]

_STATIC = ("style.css", "live.js", "rows.js", "copy.js", "times.js", "icon.svg")
_SHOWN_WAITING = 10
"""Suspected triplets on the overview; CSV and JSON have up to 200."""

_SHOWN_CHANGES = 5
"""Starts and reloads that the overview lists at once."""

_DETAILS = frozenset({"delays-figures", "slots-figures"})
"""The ids of the tables of figures below the charts."""

_OVERVIEW_SECONDS = 4.0
"""Lifetime of a rendered overview, so that many tabs cost as much as one: less than the 5 s between two refreshes."""

_T = TypeVar("_T")


class Pages:
    """The handlers of all pages."""

    def __init__(self, data: DashboardData, actions: Actions) -> None:
        self._data, self._actions = data, actions
        self.reconfigure()

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of all pages."""
        return [
            web.get("/", self._show_overview),
            web.get("/search", self._show_search),
            web.get(r"/decision/{number:[0-9-]+}", self._show_decision),
            web.get(f"/static/{{name:{'|'.join(_STATIC)}}}", _send_static),
        ]

    def reconfigure(self) -> None:
        """Discard the rendered overviews: the settings have changed."""
        self._overviews = SingleFlightCache(self._render_overview, _OVERVIEW_SECONDS)

    async def _show_overview(self, request: web.Request) -> web.Response:
        """Show the overview. It is the same for all readers: nothing else of the request may change it."""
        return _response(await self._overviews.get((query_or_400(read_period, request), _shown_details(request))))

    async def _render_overview(self, key: tuple[Period, frozenset[str]]) -> str:
        period, shown = key
        settings, timings = self._data.configuration.settings, self._data.configuration.timings
        data, report = await asyncio.gather(self._data.overview(period), self._data.daemon.report_state())
        fault = "" if isinstance(data, OverviewData) else str(data)
        silences = data.silences if isinstance(data, OverviewData) else ()
        health = summarize_health(report, self._data.place, fault, silences)
        overview, setup, work, worth, lists = None, None, "", "", list[ListRow]()
        if isinstance(data, OverviewData):
            overview = await overview_of(data, self._data.configuration)
            setup = None if data.has_requests else setup_lines(self._data.daemon.places)
            work, worth = _sentences(overview, data.waiting.number)
            lists = list_rows(data, settings, health.lists, observes=overview.observes)
        return await _render(
            "overview.html",
            path="/",
            period=period,
            health=health,
            fault=fault,
            timing=settings.timing,
            longest_wait=timings.longest,
            has_sections=bool(self._data.configuration.sections),
            observes=settings.mode == "observe",
            is_off=settings.mode == "off",
            now=self._data.clock(),
            data=data,
            overview=overview,
            lists=lists,
            shown_waiting=_SHOWN_WAITING,
            shown_changes=_SHOWN_CHANGES,
            comparing=comparing_command(overview.changes if overview else (), self._data.configuration.list_files),
            shows=shown.__contains__,
            work=work,
            worth=worth,
            setup=setup,
            observed=overview and observation(overview, self._data.configuration, period.name),
            waiting_search=_waiting_search(timings.longest, observes=settings.mode == "observe"),
            acts=bool(settings.web_actions),
        )

    async def _show_search(self, request: web.Request) -> web.Response:
        search = query_or_400(read_decision_search, request)
        settings = self._data.configuration.settings
        found = await self._data.search(search)
        observes = settings.mode == "observe"
        summary = None if search.before else await in_background(_summarize, search, found, observes=observes)
        return await _page(
            "search.html",
            path="/search",
            q=search.q,
            search=search,
            decisions=found.decisions,
            older=search.url(before=found.older_than) if found.older_than else "",
            ended_after=None if found.is_complete else SEARCH_SECONDS,
            records=waiting_rows(found.records, self._data.configuration.timings, found.now),
            log_days=settings.log_days.total_seconds(),
            now=found.now,
            summary=summary,
            actions=self._actions.of_search(request, search.q, has_records=bool(search.q)),
        )

    async def _show_decision(self, request: web.Request) -> web.Response:
        decision = await decision_or_404(self._data, request)
        configuration = self._data.configuration
        settings = configuration.settings_of(decision.details.get("section", ""))
        story, stored_under = await self._data.story(decision)
        files = configuration.list_files
        own, of_delay = advice(story, files, stored_under), [] if decision.defers else deferral_advice(story, files)
        exempted = await self._data.exempted(exemptions_of([*own, *of_delay]))
        return await _page(
            "decision.html",
            decision=decision,
            line=line_of(decision),
            story=story,
            evidence=evidence(story, settings.thresholds),
            advice=with_exempted(own, exempted),
            delay_advice=with_exempted(of_delay, exempted),
            actions=self._actions.of_decision(request, story, has_records=bool(stored_under)),
            now=self._data.clock(),
        )


def _waiting_search(longest: timedelta, *, observes: bool) -> str:
    """Return the URL of the search for all deferrals of the shortest range that has the longest wait."""
    name = next((each.name for each in PERIODS.values() if each.length >= longest), "365d")
    return page_url("/search", {"outcome": "would-defer" if observes else "greylist", "range": name})


def _sentences(overview: Overview, waiting: int) -> tuple[str, str]:
    """Return what bley does and whether it is worth it; `waiting`: the number of triplets that wait."""
    figures, observes = overview.figures, overview.observes
    work = describe_work(figures, observes=observes, spelling=SPELLING)
    return work, describe_worth(figures, waiting, observes=observes, before=overview.before, spelling=SPELLING)


def _summarize(search: DecisionSearch, found: SearchResult, *, observes: bool) -> SearchSummary | None:
    return summarize_search(search, found.summary, found.by_domain, found.now, observes=observes)


def _shown_details(request: web.Request) -> frozenset[str]:
    """Return the ids of the tables that the page includes: a refresh by live.js does not fetch closed ones."""
    shown = request.headers.get("Bley-Open")
    return _DETAILS if shown is None else _DETAILS.intersection(shown.split())


async def _send_static(request: web.Request) -> web.FileResponse:
    return web.FileResponse(STATIC / request.match_info["name"], headers={"Cache-Control": "no-cache"})


async def decision_or_404(data: DashboardData, request: web.Request) -> StoredDecision:
    """Return the decision of the URL. Raises HTTPNotFound, and StoreError."""
    decision = await data.decision(request.match_info["number"])
    if decision is None:
        raise web.HTTPNotFound(text="There is no such decision, or it was removed after log_days.\n")
    return decision


def query_or_400(read: Callable[[Mapping[str, str]], _T], request: web.Request) -> _T:
    """Return the query string as `read` parses it. Raises HTTPBadRequest if `read` raises ValueError."""
    try:
        return read(request.query)
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"{error}\n") from error


async def _page(template: str, **values: Any) -> web.Response:
    return _response(await _render(template, **values))


async def _render(template: str, **values: Any) -> str:
    return await render(template, **({"q": "", "path": ""} | values))


def _response(text: str) -> web.Response:
    return web.Response(text=text, content_type="text/html", headers={"Cache-Control": "no-store"})
