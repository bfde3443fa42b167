"""Servers that many tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.servers import reachable_folder
from tests.integration.stores import Places, Servers


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Each is started by the first test that wants it."""
    with reachable_folder() as folder:
        servers = Servers(folder)
        yield servers
        servers.close()


@pytest.fixture
def places(servers: Servers, tmp_path: Path) -> Places:
    """Empty databases."""
    return Places(servers, tmp_path)
