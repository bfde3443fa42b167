"""`/lists`, which `bley lists` requests."""

import json

from tests.fakes import ILL_LIST, WELL_LIST
from tests.integration.web.site import Site


async def test_lists_are_shown_as_they_are_at_present(site: Site) -> None:
    answer = await site.get("/lists")
    assert (answer.status, answer.type) == (200, "application/json; charset=utf-8")
    assert json.loads(answer.text) == [WELL_LIST, ILL_LIST]
    site.bley.state = site.bley.state._replace(lists=[])
    assert json.loads((await site.get("/lists")).text) == []


async def test_without_workers_the_status_is_503(site: Site) -> None:
    site.bley.lives = False
    answer = await site.get("/lists")
    assert (answer.status, answer.text) == (503, "no worker answers\n")
