"""The download of all decisions that match, page by page."""

import csv
import json
from typing import Any

import pytest

from bley.web import streams
from tests.fakes import FakeHistory
from tests.unit.web.dashboard_client import DashboardClient, decision


def _site(number: int) -> DashboardClient:
    return DashboardClient(FakeHistory([decision(str(each)) for each in range(number, 0, -1)]))


@pytest.mark.parametrize("number", [0, 1, 500, 1203])
async def test_all_decisions_are_sent(number: int) -> None:
    site = _site(number)
    found: list[dict[str, Any]] = json.loads(await site.stream("/search.json"))
    assert [each["number"] for each in found] == [str(each) for each in range(number, 0, -1)]
    rows = list(csv.reader((await site.stream("/search.csv")).splitlines()))
    assert rows[0][0] == "number"
    assert [row[0] for row in rows[1:]] == [str(each) for each in range(number, 0, -1)]


async def test_they_begin_where_the_page_does() -> None:
    found = json.loads(await _site(700).stream("/search.json?before=601"))
    assert [each["number"] for each in found][::599] == ["600", "1"]


async def test_a_last_line_says_where_the_rest_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MOST_SECONDS", 0.0)
    site = _site(1203)
    assert json.loads(await site.stream("/search.json"))[-1]["before"] == "704"
    rows = list(csv.reader((await site.stream("/search.csv")).splitlines()))
    assert (len(rows), rows[-1]) == (502, ["unfinished", "the time of 0 s is over: the rest is before=704"])
