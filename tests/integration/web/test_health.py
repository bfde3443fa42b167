"""The liveness and readiness probes."""

import json

import pytest

from tests.integration.web.site import Site

NO_STORE = "store: unavailable; on_store_error decides how requests are answered\n"
NO_DNS = "dns: gives no usable answer; checks that need it count 0\n"


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
class TestBoth:
    async def test_all_is_well(self, site: Site, path: str) -> None:
        answer = await site.get(path)
        assert (answer.status, answer.text, answer.type) == (200, "ok\n", "text/plain; charset=utf-8")

    async def test_no_worker_answers(self, site: Site, path: str) -> None:
        site.bley.lives = False
        answer = await site.get(path)
        assert (answer.status, answer.text) == (503, "no worker answers\n")

    @pytest.mark.parametrize("host", ["192.0.2.1:1338", "bley.example", "[2001:db8::1]"])
    async def test_any_host_header_is_accepted(self, site: Site, path: str, host: str) -> None:
        """Kubernetes probes the pod's address, and the response reveals nothing."""
        assert (await site.get(path, host)).status == 200

    async def test_head_returns_the_status_alone(self, site: Site, path: str) -> None:
        answer = await site.get(path, method="HEAD")
        assert (answer.status, answer.text) == (200, "")


async def test_an_unready_daemon_is_alive(site: Site) -> None:
    """A restart would repair neither store nor DNS."""
    site.bley.state = site.bley.state._replace(store_is_down=True, dns_is_silent=True)
    assert (await site.get("/healthz")).status == 200


@pytest.mark.parametrize(
    ("store_is_down", "dns_is_silent", "text"),
    [(True, False, NO_STORE), (False, True, NO_DNS), (True, True, NO_STORE + NO_DNS)],
)
async def test_readiness_has_a_line_for_each_component_that_fails(
    site: Site, store_is_down: bool, dns_is_silent: bool, text: str
) -> None:
    site.bley.state = site.bley.state._replace(store_is_down=store_is_down, dns_is_silent=dns_is_silent)
    answer = await site.get("/readyz")
    assert (answer.status, answer.text) == (503, text)


@pytest.mark.parametrize(
    ("path", "headers"), [("/readyz?format=json", {}), ("/readyz", {"Accept": "application/json"})]
)
async def test_readiness_as_json(site: Site, path: str, headers: dict[str, str]) -> None:
    answer = await site.get(path, **headers)
    assert (answer.status, json.loads(answer.text)) == (200, {"ready": True, "troubles": {}})
    site.bley.state = site.bley.state._replace(dns_is_silent=True)
    answer = await site.get(path, **headers)
    assert (answer.status, answer.type) == (503, "application/json; charset=utf-8")
    assert json.loads(answer.text) == {"ready": False, "troubles": {"dns": NO_DNS[5:-1]}}
