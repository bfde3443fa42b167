"""`/listeners`, which `bley ask` requests if no bley answers where the settings say."""

import json

from tests.integration.web.site import Site


async def test_the_settings_file_and_the_names_of_the_sockets_are_shown(site: Site) -> None:
    answer = await site.get("/listeners")
    assert (answer.status, answer.type) == (200, "application/json; charset=utf-8")
    assert json.loads(answer.text) == {
        "file": "/etc/bley/bley.conf",
        "listeners": ["127.0.0.1:1337", "unix:/run/bley/bley.sock"],
    }
