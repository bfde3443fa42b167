"""`/lists`: what `bley lists` gets."""

import json

from tests.fakes import ILL_LIST, WELL_LIST
from tests.integration.web.site import Site


async def test_lists_are_shown_as_they_are_at_that_moment(site: Site) -> None:
    answer = await site.get("/lists")
    assert (answer.status, answer.type) == (200, "application/json; charset=utf-8")
    assert json.loads(answer.text) == [WELL_LIST, ILL_LIST]
    site.bley.state = site.bley.state._replace(lists=[])
    assert json.loads((await site.get("/lists")).text) == []


async def test_where_no_worker_can_tell_it_says_so(site: Site) -> None:
    site.bley.lives = False
    answer = await site.get("/lists")
    assert (answer.status, answer.text) == (503, "no worker answers\n")
