"""What the tests of the web share."""

from collections.abc import AsyncIterator

import pytest

from tests.integration.web.site import Site


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    site.web.open()
    yield site
    await site.web.close()
