"""Each table of the pages as CSV and JSON, at its page's address with `.csv` or `.json`."""

import asyncio
import json

from aiohttp import web

from bley.core.errors import StoreError
from bley.store.history import PartialResult
from bley.web.dashboard_data import DashboardData
from bley.web.decision_search import read_decision_search, read_period
from bley.web.exports import OVERVIEW, decision_fields, decisions_table, lists_table, waiting_table
from bley.web.health_summary import summarize_health
from bley.web.monitored_daemon import state_or_503
from bley.web.overview import overview, waiting_rows
from bley.web.pages import decision_of, or_400
from bley.web.tables import Table, as_csv, as_json

__all__ = ["Downloads"]

_FORM = "{form:csv|json}"


class Downloads:
    """Answers with tables made from `source`."""

    def __init__(self, source: DashboardData) -> None:
        self._source = source

    def routes(self) -> list[web.RouteDef]:
        """The routes of all tables."""
        return [
            web.get(f"/overview/lists.{_FORM}", self._give_lists),
            web.get(f"/overview/{{name:{'|'.join(OVERVIEW)}}}.{_FORM}", self._give_overview),
            web.get(f"/search.{_FORM}", self._give_decisions),
            web.get(f"/search/records.{_FORM}", self._give_records),
            web.get(f"/decision/{{number:[0-9-]+}}.{_FORM}", self._give_decision),
        ]

    async def _give_lists(self, request: web.Request) -> web.Response:
        report = await state_or_503(self._source.shown)
        return _given(request, "lists", lists_table(summarize_health(report, "", "").lists))

    async def _give_overview(self, request: web.Request) -> web.Response:
        looked = await self._source.overview(or_400(read_period, request))
        if isinstance(looked, StoreError):
            raise looked
        told = await asyncio.to_thread(overview, looked, self._source.configuration.settings.timing)
        name = request.match_info["name"]
        return _given(request, name, OVERVIEW[name](told))

    async def _give_decisions(self, request: web.Request) -> web.Response:
        found = await self._source.found_decisions(or_400(read_decision_search, request))
        return _given(request, "decisions", decisions_table(found), is_whole=not isinstance(found, PartialResult))

    async def _give_records(self, request: web.Request) -> web.Response:
        found = await self._source.found_records(or_400(read_decision_search, request))
        timing = self._source.configuration.settings.timing
        table = waiting_table(waiting_rows(found, timing, self._source.clock()))
        return _given(request, "records", table, is_whole=not isinstance(found, PartialResult))

    async def _give_decision(self, request: web.Request) -> web.Response:
        fields = decision_fields(await decision_of(self._source, request))
        if request.match_info["form"] == "json":
            return web.json_response(fields)
        told = [(name, value if isinstance(value, str) else json.dumps(value)) for name, value in fields.items()]
        return _given(request, f"decision-{fields['number']}", Table(("name", "value"), told))


def _given(request: web.Request, name: str, table: Table, *, is_whole: bool = True) -> web.Response:
    headers = {"Cache-Control": "no-store"} | ({} if is_whole else {"Bley-Search": "unfinished"})
    if request.match_info["form"] == "json":
        return web.Response(text=as_json(table), content_type="application/json", headers=headers)
    headers["Content-Disposition"] = f'attachment; filename="bley-{name}.csv"'
    return web.Response(text=as_csv(table), content_type="text/csv", charset="utf-8", headers=headers)
