"""Host headers, methods and paths at `web_listen`."""

import pytest

from tests.integration.web.site import Site


class TestHost:
    """A page of another site, whose name resolves to this address, must not read ours (DNS rebinding)."""

    @pytest.mark.parametrize(
        "host",
        ["localhost", "localhost:1338", "LOCALHOST", "127.0.0.1", "127.0.0.1:1338", "127.9.9.9", "[::1]", "[::1]:1338"],
    )
    async def test_own_names_are_answered(self, site: Site, host: str) -> None:
        assert (await site.get("/lists", host)).status == 200

    @pytest.mark.parametrize(
        "host",
        [
            "evil.example",
            "evil.example:1338",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "192.0.2.1",
            "[2001:db8::1]:1338",
            "0.0.0.0",
        ],
    )
    @pytest.mark.parametrize("path", ["/lists", "/metrics", "/nothing", "/healthz/lists", "/healthz/../lists"])
    async def test_other_names_are_refused(self, site: Site, host: str, path: str) -> None:
        answer = await site.get(path, host)
        assert (answer.status, answer.text) == (
            403,
            "use the address of web_listen, localhost, or a name in web_hosts\n",
        )

    @pytest.mark.parametrize("host", ["a b", "[", "::1", "localhost:port", "localhost@evil.example", "%"])
    async def test_invalid_headers_are_not_either(self, site: Site, host: str) -> None:
        """And cause no server error."""
        assert (await site.get("/lists", host)).status in (400, 403)


async def test_unknown_paths_are_not_found(site: Site) -> None:
    assert (await site.get("/nothing")).status == 404
    assert (await site.get("/lists/zen.spamhaus.org")).status == 404


@pytest.mark.parametrize("path", ["/", "/search", "/decision/1", "/lists", "/metrics", "/healthz", "/readyz"])
async def test_it_is_read_only(site: Site, path: str) -> None:
    assert (await site.get(path, method="POST")).status == 405
