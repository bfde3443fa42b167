"""Who is let in, and what browsers are told, over real connections; whence they come is the test's to say."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from ipaddress import ip_address

import aiohttp
import pytest
from aiohttp import web

from bley.core.mail import Address
from bley.settings.file import Configuration, load
from bley.settings.settings import Settings
from bley.web import access_control, health
from bley.web.access_control import HEADERS, USER, AccessControl
from bley.web.password_gate import PasswordGate, TooManyAttemptsError
from tests.unit.web.test_password_gate import basic, cheap_hash

LOOPBACK, OWN, OTHER, PROXY = map(ip_address, ("127.0.0.1", "192.0.2.1", "192.0.2.2", "192.0.2.9"))
PASSWORD = cheap_hash("secret")


def configuration(*, has_password: bool = False, **texts: str) -> Configuration:
    """With these settings."""
    settings = Settings.model_validate(texts | ({"web_password_file": "web"} if has_password else {}))
    return replace(load(), settings=settings, web_password=PASSWORD if has_password else None)


@dataclass
class Site:
    """A guarded server, and the two ends of the connection that it sees."""

    port: int = 0
    peer: Address = LOOPBACK
    own: Address = LOOPBACK
    access: AccessControl = field(default_factory=lambda: AccessControl(PasswordGate(pause_seconds=0)))

    async def get(self, path: str = "/", method: str = "GET", **headers: str) -> aiohttp.ClientResponse:
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"http://127.0.0.1:{self.port}{path}", headers=headers) as answer,
        ):
            await answer.read()
            return answer

    async def status(self, path: str = "/", method: str = "GET", **headers: str) -> int:
        """And so says every refusal that it is one."""
        return (await self.get(path, method, **headers)).status


async def _show(request: web.Request) -> web.Response:
    if request.path == "/style.css":
        return web.Response(text="", headers={"Cache-Control": "max-age=3600", "Server": "aiohttp"})
    if request.path == "/broken":
        raise RuntimeError
    return web.Response(text="mail", headers={"Who": request.get(USER, "")})


@pytest.fixture
async def site(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    site = Site()
    monkeypatch.setattr(access_control, "_addresses", lambda _: access_control._Addresses(site.peer, site.own))
    application = web.Application()
    site.access.protect(application)
    for path in ("/", "/style.css", "/broken", "/lists", "/metrics", *health.PATHS):
        application.router.add_get(path, _show)
    application.router.add_post("/act/pass", _show)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    site.port = runner.addresses[0][1]
    yield site
    await runner.cleanup()


class TestHeaders:
    @pytest.mark.parametrize(("path", "status"), [("/", 200), ("/nothing", 404), ("/broken", 500), ("/healthz", 200)])
    async def test_every_response_has_them(
        self, site: Site, path: str, status: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        answer = await site.get(path)
        assert answer.status == status
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Server" not in answer.headers

    async def test_refusals_have_them_too(self, site: Site) -> None:
        site.access.reconfigure(configuration(has_password=True))
        for answer in (await site.get(), await site.get(Host="evil.example"), await site.get(method="POST")):
            assert answer.status in (401, 403, 405)
            assert {name: answer.headers[name] for name in HEADERS} == HEADERS

    async def test_a_handler_may_allow_caching(self, site: Site) -> None:
        assert (await site.get("/style.css")).headers["Cache-Control"] == "max-age=3600"

    def test_the_policy_forbids_inline_and_foreign_scripts(self) -> None:
        policy = HEADERS["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "*" not in policy
        assert "http" not in policy


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"])
@pytest.mark.parametrize("path", ["/", "/healthz", "/nothing"])
async def test_it_is_read_only(site: Site, path: str, method: str) -> None:
    answer = await site.get(path, method)
    assert answer.status == 405
    assert set(answer.headers["Allow"].split(",")) == {"GET", "HEAD"}


class TestActions:
    @pytest.mark.parametrize(
        ("has_password", "setting", "path", "status"),
        [
            (True, "1", "/act/pass", 200),
            (True, "0", "/act/pass", 405),
            (True, "1", "/", 405),
            (True, "1", "/act", 405),
            (True, "1", "/healthz", 405),
            (True, "1", "/act/nothing", 405),
        ],
    )
    async def test_post_is_only_for_them(
        self, site: Site, has_password: bool, setting: str, path: str, status: int
    ) -> None:
        site.access.reconfigure(configuration(has_password=has_password, web_actions=setting))
        assert await site.status(path, "POST", Authorization=basic("secret")) == status

    @pytest.mark.parametrize("authorization", ["", f"Bearer {PASSWORD.proof}", basic("wrong")])
    async def test_they_need_the_password_itself(self, site: Site, authorization: str) -> None:
        site.access.reconfigure(configuration(has_password=True, web_actions="1"))
        assert await site.status("/act/pass", "POST", Authorization=authorization) in (401, 403)

    @pytest.mark.parametrize(
        ("user", "who"),
        [
            ("jane", "jane from 198.51.100.7"),
            ("", "198.51.100.7"),
            ("a\nb", r"a\x0ab from 198.51.100.7"),
            ("x" * 500, f"{'x' * 64} from 198.51.100.7"),
        ],
    )
    async def test_the_user_is_the_name_and_the_client_of_the_proxy(self, site: Site, user: str, who: str) -> None:
        site.access.reconfigure(configuration(has_password=True, web_actions="1", web_proxy="127.0.0.1"))
        headers = {"Authorization": basic("secret", user), "X-Forwarded-For": "10.0.0.1, 198.51.100.7"}
        answer = await site.get("/act/pass", "POST", **headers)
        assert answer.headers["Who"] == who


async def test_head_is_allowed(site: Site) -> None:
    assert await site.status(method="HEAD") == 200


class TestPeer:
    @pytest.mark.parametrize(
        ("peer", "own"), [(LOOPBACK, LOOPBACK), (ip_address("::1"), ip_address("::1")), (OWN, OWN)]
    )
    async def test_this_machine_is_admitted(self, site: Site, peer: Address, own: Address) -> None:
        site.peer, site.own = peer, own
        assert await site.status(Host=f"[{own}]" if ":" in str(own) else str(own)) == 200

    async def test_other_machines_need_a_password_or_proxy_even_after_a_reload(self, site: Site) -> None:
        site.peer, site.own = OTHER, OWN
        assert await site.status(Host="192.0.2.1") == 403
        assert (
            await site.status(Host="192.0.2.1", **{"X-Forwarded-For": "127.0.0.1", "Forwarded": "for=127.0.0.1"}) == 403
        )

    async def test_with_a_proxy_only_the_proxy_is_admitted(self, site: Site) -> None:
        site.access.reconfigure(configuration(web_proxy="192.0.2.8/31, 2001:db8::9"))
        site.own = OWN
        statuses = []
        for peer in (PROXY, ip_address("2001:db8::9"), OTHER, OWN, LOOPBACK):
            site.peer = peer
            statuses.append(await site.status(Host="192.0.2.1"))
        assert statuses == [200, 200, 403, 403, 403]

    @pytest.mark.parametrize(("path", "status"), [("/lists", 200), ("/metrics", 200), ("/", 403), ("/nothing", 403)])
    async def test_this_machine_gets_figures_without_the_proxy(self, site: Site, path: str, status: int) -> None:
        """`bley lists` and Prometheus need no proxy; these paths show no mail."""
        site.access.reconfigure(configuration(web_proxy="192.0.2.9"))
        assert await site.status(path) == status
        site.peer, site.own = OTHER, OWN
        assert await site.status(path, Host="192.0.2.1") == 403

    async def test_headers_do_not_change_the_peer(self, site: Site) -> None:
        site.access.reconfigure(configuration(web_proxy="192.0.2.9"))
        site.peer, site.own = OTHER, OWN
        assert await site.status(Host="192.0.2.1", **{"X-Forwarded-For": "192.0.2.9", "X-Real-IP": "192.0.2.9"}) == 403


class TestHost:
    """A page of another site, whose name resolves to this address, must not read ours (DNS rebinding)."""

    NAMES = "bley.example.org, 198.51.100.1, 2001:db8::5"

    @pytest.mark.parametrize(
        "host",
        [
            "localhost",
            "LOCALHOST:1338",
            "localhost.",
            "127.0.0.1:1338",
            "127.9.9.9",
            "[::1]",
            "[::1]:1338",
            "192.0.2.1",
            "192.0.2.1:1338",
            "bley.example.org",
            "Bley.Example.org.:443",
            "198.51.100.1:80",
            "[2001:db8::5]",
            "[2001:DB8:0::5]:1338",
        ],
    )
    async def test_own_names_are_answered(self, site: Site, host: str) -> None:
        """Loopback names, the address of the connection, and web_hosts."""
        site.access.reconfigure(configuration(web_hosts=self.NAMES))
        site.peer = site.own = OWN
        assert await site.status(Host=host) == 200

    @pytest.mark.parametrize(
        "host",
        [
            "evil.example",
            "bley.example.org.evil.example",
            "x.bley.example.org",
            "localhost.evil.example",
            "evil.localhost",
            "192.0.2.2",
            "192.0.2.1.evil.example",
            "0.0.0.0",
            "[::]",
            "[2001:db8::1]:1338",
            "2001:db8::5",
            "[2001:db8::5",
            "2130706433",
            "0x7f.1",
            "localhost:",
            "localhost:port",
            "localhost:99999",
            "localhost@evil.example",
            "evil@localhost",
            "localhost, evil.example",
            "[fe80::1%25lo]",
            "%",
            "[]",
            "[localhost]",
            ":80",
            "/",
        ],
    )
    @pytest.mark.parametrize("path", ["/", "/lists", "/metrics", "/nothing"])
    async def test_others_are_not(self, site: Site, path: str, host: str) -> None:
        site.access.reconfigure(configuration(web_hosts=self.NAMES))
        site.peer = site.own = OWN
        assert await site.status(path, Host=host) in (400, 403)

    @pytest.mark.parametrize("path", sorted(health.PATHS))
    async def test_health_is_shown_to_any_peer_by_any_name(self, site: Site, path: str) -> None:
        site.access.reconfigure(configuration(has_password=True, web_proxy="192.0.2.9"))
        site.peer, site.own = OTHER, OWN
        assert await site.status(path, Host="evil.example") == 200
        for other in (f"{path}/", f"{path}/lists", f"/lists;{path}", f"/lists?{path}"):
            assert await site.status(other, Host="evil.example") == 403


class TestPassword:
    @pytest.mark.parametrize("path", ["/", "/lists", "/metrics", "/nothing", "/style.css"])
    async def test_this_machine_needs_it_too(self, site: Site, path: str) -> None:
        site.access.reconfigure(configuration(has_password=True))
        answer = await site.get(path)
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"] == 'Basic realm="bley", charset="UTF-8"'
        assert await site.status(path, Authorization=basic("wrong")) == 401
        assert await site.status(path, Authorization=basic("secret")) != 401

    async def test_the_password_admits_from_any_address(self, site: Site) -> None:
        site.access.reconfigure(configuration(has_password=True))
        site.peer, site.own = OTHER, OWN
        assert await site.status(Host="192.0.2.1", Authorization=basic("secret")) == 200
        assert await site.status("/lists", Host="192.0.2.1", Authorization=f"Bearer {PASSWORD.proof}") == 200

    async def test_proxy_and_host_rules_hold_with_a_password_too(self, site: Site) -> None:
        """All rules must hold."""
        site.access.reconfigure(configuration(has_password=True, web_proxy="192.0.2.9"))
        right = basic("secret")
        assert await site.status(Authorization=right) == 403
        assert await site.status("/lists", Authorization=right) == 200
        assert await site.status("/lists") == 401
        site.peer, site.own = PROXY, OWN
        assert await site.status(Host="192.0.2.1") == 401
        assert await site.status(Host="192.0.2.1", Authorization=right) == 200
        assert await site.status(Host="evil.example", Authorization=right) == 403

    async def test_too_many_attempts_have_status_429(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        site.access.reconfigure(configuration(has_password=True))

        async def refuse(*_: object) -> bool:
            raise TooManyAttemptsError

        monkeypatch.setattr(site.access._gate, "admits", refuse)
        answer = await site.get(Authorization=basic("secret"))
        assert (answer.status, answer.headers["Retry-After"]) == (429, "2")

    async def test_a_reload_changes_or_removes_the_password(self, site: Site) -> None:
        site.access.reconfigure(configuration(has_password=True))
        assert await site.status() == 401
        site.access.reconfigure(configuration())
        assert await site.status() == 200


async def test_a_stranger_behind_the_proxy_locks_no_one_out(site: Site) -> None:
    """Whatever the stranger writes into the header."""
    site.access.reconfigure(configuration(has_password=True, web_proxy="192.0.2.9"))
    site.peer, site.own = PROXY, OWN
    counted: list[Address] = []
    admits = site.access._gate.admits

    async def count(authorization: str, client: Address) -> bool:
        counted.append(client)
        return await admits(authorization, client)

    site.access._gate.admits = count  # type: ignore[method-assign]
    for number in range(5):
        forwarded = f"10.0.0.{number}, 203.0.113.5"
        headers = {"X-Forwarded-For": forwarded, "Authorization": basic(f"wrong {number}")}
        assert await site.status(Host="192.0.2.1", **headers) == 401
    right = {"X-Forwarded-For": "198.51.100.7", "Authorization": basic("secret")}
    assert await site.status(Host="192.0.2.1", **right) == 200
    assert set(counted) == {ip_address("203.0.113.5"), ip_address("198.51.100.7")}
