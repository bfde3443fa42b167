"""Which servers c-ares asks. What is asked of them is in integration."""

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bley.core.errors import SettingsError
from bley.dns import resolv_conf
from bley.dns.resolver import CachingResolver
from bley.settings.settings import Settings
from bley.settings.values import split_server

_WITHIN = timedelta(seconds=2)
_LIKE_A_SERVER = r"(1\.2\.3\.4|\[(::1|fe80::1|fec0::1)(%(lo|1|nope))?\]|fe80::1(%(lo|nope))?)(:[+_ 0-9]{0,9})?"


@pytest.mark.parametrize(
    ("server", "asked"),
    [
        ("127.0.0.1", "127.0.0.1:53"),
        ("127.0.0.1:053", "127.0.0.1:53"),
        ("[127.0.0.1]:54", "127.0.0.1:54"),
        ("::1", "[::1]:53"),
        ("[::1]", "[::1]:53"),
        ("[::1]:54", "[::1]:54"),
        ("[::ffff:192.0.2.1]:53", "192.0.2.1:53"),
        ("fe80::1%lo", "[fe80::1]:53%lo"),
        ("[fe80::1%lo]:54", "[fe80::1]:54%lo"),
    ],
)
async def test_a_server_may_be_written_in_any_of_the_usual_forms(server: str, asked: str) -> None:
    resolver = CachingResolver([server], _WITHIN)
    assert resolver._channel._cares.servers == [asked]
    await resolver.close()


@given(st.text("0123456789abcdef.:[]%+_-lo eth0\u0665", max_size=24) | st.from_regex(_LIKE_A_SERVER, fullmatch=True))
async def test_what_the_settings_take_c_ares_takes_too(text: str) -> None:
    """And asks there."""
    try:
        servers = Settings.model_validate({"resolver": text}).resolver
    except ValidationError:
        return
    resolver = CachingResolver(servers, _WITHIN)
    if servers:
        assert "" not in resolver._channel._cares.servers
        assert len(resolver._channel._cares.servers) == len({split_server(server) for server in servers})
    await resolver.close()


async def test_what_c_ares_does_not_take_is_the_operator_s_to_mend() -> None:
    with pytest.raises(SettingsError, match="resolver: nowhere: c-ares cannot ask there"):
        CachingResolver(["nowhere"], _WITHIN)


@pytest.mark.parametrize(
    ("text", "servers"),
    [("", ["127.0.0.1:53"]), ("search a..b\nnameserver foo\nnameserver ::1\n", ["[::1]:53"])],
)
async def test_the_system_s_servers_are_those_that_can_be_used(
    text: str, servers: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None: the one on this machine (resolv.conf(5))."""
    file = tmp_path / "resolv.conf"
    file.write_text(text)
    monkeypatch.setattr(resolv_conf, "RESOLV_CONF", file)
    resolver = CachingResolver([], _WITHIN)
    assert resolver._channel._cares.servers == servers
    await resolver.close()
