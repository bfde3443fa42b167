"""Servers that many tests share."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from bley.store import opening
from tests.integration.servers import reachable_folder
from tests.integration.stores import OpenStores, Places, Servers

pytest.register_assert_rewrite("tests.integration.outages")


@pytest.fixture(scope="session", autouse=True)
def _patience() -> Iterator[None]:
    """No machine is so slow that this process connects to a store too late; tests of the limit start bley."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(opening, "_CONNECT_SECONDS", 60.0)
        yield


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Servers, each of which is started by the first test that needs it."""
    with reachable_folder() as folder:
        servers = Servers(folder)
        yield servers
        servers.close()


@pytest.fixture
def places(servers: Servers, tmp_path: Path) -> Places:
    """Empty databases."""
    return Places(servers, tmp_path)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stores(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OpenStores]:
    """Stores for a module whose tests are marked `asyncio(loop_scope="module")`."""
    stores = OpenStores(Places(servers, tmp_path_factory.mktemp("stores")))
    yield stores
    await stores.close()
