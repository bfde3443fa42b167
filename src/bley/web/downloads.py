"""Downloads of each table as CSV and JSON, at the URL of its page with `.csv` or `.json` appended."""

import json
from collections.abc import Sequence

from aiohttp import web

from bley.core.errors import StoreError
from bley.core.history.search import StoredDecision
from bley.store.history import PartialResult
from bley.web.dashboard_data import DashboardData
from bley.web.decision_search import read_decision_search, read_period
from bley.web.health_summary import summarize_health
from bley.web.list_rows import list_rows
from bley.web.monitored_daemon import state_or_503
from bley.web.overview import overview_of
from bley.web.pages import decision_or_404, query_or_400
from bley.web.streams import stream_decisions
from bley.web.tables import (
    OVERVIEW_TABLES,
    Table,
    as_csv,
    as_json,
    decision_fields,
    list_figures_table,
    lists_table,
    waiting_table,
)
from bley.web.waiting import waiting_rows

__all__ = ["Downloads"]

_FORMAT = "{format:csv|json}"


class Downloads:
    """The handlers of all downloads."""

    def __init__(self, data: DashboardData) -> None:
        self._data = data

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of all tables."""
        return [
            web.get(f"/overview/lists.{_FORMAT}", self._send_lists),
            web.get(f"/overview/list-figures.{_FORMAT}", self._send_list_figures),
            web.get(f"/overview/{{name:{'|'.join(OVERVIEW_TABLES)}}}.{_FORMAT}", self._send_overview),
            web.get(f"/search.{_FORMAT}", self._send_decisions),
            web.get(f"/search/records.{_FORMAT}", self._send_records),
            web.get(f"/decision/{{number:[0-9-]+}}.{_FORMAT}", self._send_decision),
        ]

    async def _send_lists(self, request: web.Request) -> web.Response:
        report = await state_or_503(self._data.daemon)
        return _response(request, "lists", lists_table(summarize_health(report, "", "").lists))

    async def _send_list_figures(self, request: web.Request) -> web.Response:
        data = await self._data.overview(query_or_400(read_period, request))
        if isinstance(data, StoreError):
            raise data
        overview = await overview_of(data, self._data.configuration)
        health = summarize_health(await self._data.daemon.report_state(), "", "").lists
        rows = list_rows(data, self._data.configuration.settings, health, observes=overview.observes)
        return _response(request, "list-figures", list_figures_table(rows))

    async def _send_overview(self, request: web.Request) -> web.Response:
        data = await self._data.overview(query_or_400(read_period, request))
        if isinstance(data, StoreError):
            raise data
        overview = await overview_of(data, self._data.configuration)
        name = request.match_info["name"]
        return _response(request, name, OVERVIEW_TABLES[name](overview))

    async def _send_decisions(self, request: web.Request) -> web.StreamResponse:
        search = query_or_400(read_decision_search, request)

        async def read(limit: int, before: str) -> Sequence[StoredDecision]:
            return await self._data.search_decisions(search, limit, before or search.before)

        return await stream_decisions(request, read, _headers(request, "decisions"))

    async def _send_records(self, request: web.Request) -> web.Response:
        found = await self._data.search_records(query_or_400(read_decision_search, request))
        table = waiting_table(waiting_rows(found, self._data.configuration.timings, self._data.clock()))
        return _response(request, "records", table, is_complete=not isinstance(found, PartialResult))

    async def _send_decision(self, request: web.Request) -> web.Response:
        fields = decision_fields(await decision_or_404(self._data, request))
        if request.match_info["format"] == "json":
            return web.json_response(fields)
        rows = [(name, value if isinstance(value, str) else json.dumps(value)) for name, value in fields.items()]
        return _response(request, f"decision-{fields['number']}", Table(("name", "value"), rows))


def _response(request: web.Request, name: str, table: Table, *, is_complete: bool = True) -> web.Response:
    headers = _headers(request, name) | ({} if is_complete else {"Bley-Search": "unfinished"})
    if request.match_info["format"] == "json":
        return web.Response(text=as_json(table), content_type="application/json", headers=headers)
    return web.Response(text=as_csv(table), content_type="text/csv", charset="utf-8", headers=headers)


def _headers(request: web.Request, name: str) -> dict[str, str]:
    headers = {"Cache-Control": "no-store"}
    if request.match_info["format"] == "csv":
        headers["Content-Disposition"] = f'attachment; filename="bley-{name}.csv"'
    return headers
