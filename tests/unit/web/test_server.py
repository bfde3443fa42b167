"""Who is answered at `web_listen`, and where that is."""

import socket

import aiohttp
import pytest

from bley.core.errors import SettingsError
from bley.web.server import Web
from tests.unit.web.site import FakeBley, Site


class TestHost:
    """A page of a stranger's, whose name leads here, must not be answered."""

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
    async def test_other_names_are_not(self, site: Site, host: str, path: str) -> None:
        answer = await site.get(path, host)
        assert (answer.status, answer.text) == (
            403,
            "ask by the address of web_listen, as localhost, or by a name of web_hosts\n",
        )

    @pytest.mark.parametrize("host", ["a b", "[", "::1", "localhost:port", "localhost@evil.example", "%"])
    async def test_nonsense_is_not_either(self, site: Site, host: str) -> None:
        """And no server error."""
        assert (await site.get("/lists", host)).status in (400, 403)


async def test_what_is_not_there_is_not_found(site: Site) -> None:
    assert (await site.get("/nothing")).status == 404
    assert (await site.get("/lists/zen.spamhaus.org")).status == 404


@pytest.mark.parametrize("path", ["/", "/search", "/decision/1", "/lists", "/metrics", "/healthz", "/readyz"])
async def test_it_is_read_only(site: Site, path: str) -> None:
    assert (await site.get(path, method="POST")).status == 405


class TestListening:
    async def test_it_says_where_it_listens(self) -> None:
        web = Web(FakeBley())
        host, _, port = (await web.listen("127.0.0.1", 0)).rpartition(":")
        assert host == "127.0.0.1"
        assert int(port) > 0
        await web.close()

    async def test_at_an_ipv6_address_too(self) -> None:
        site = Site()
        site.place = await site.web.listen("::1", 0)
        assert site.place.startswith("[::1]:")
        assert (await site.get("/lists")).status == 200
        await site.web.close()

    async def test_a_port_in_use_is_the_operator_s_to_mend(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            web = Web(FakeBley())
            with pytest.raises(SettingsError) as caught:
                await web.listen("127.0.0.1", port)
            await web.close()
        assert str(caught.value).startswith(f"web_listen: cannot listen at 127.0.0.1 port {port}: ")
        assert "in use" in str(caught.value)

    async def test_after_close_nobody_listens(self) -> None:
        site = Site()
        site.place = await site.web.listen("127.0.0.1", 0)
        await site.web.close()
        with pytest.raises(aiohttp.ClientConnectionError):
            await site.get("/lists")

    async def test_close_without_listen_does_nothing(self) -> None:
        await Web(FakeBley()).close()
