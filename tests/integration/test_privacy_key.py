"""A store has one privacy key: another or a lost one is an error that names the remedy, on every engine."""

import asyncio
from pathlib import Path

import pytest

from bley.core.errors import PrivacyKeyError
from bley.settings.database import parse_database
from bley.settings.privacy_key import PrivacyKey
from bley.store.key_claim import confirm_key
from bley.store.opening import open_engine
from tests.integration.running_bley import Bley, request_options
from tests.integration.stores import ENGINES, Servers

MAIL = {
    "client_address": "198.51.100.7",
    "helo_name": "friend",
    "sender": "a@example.com",
    "recipient": "b@example.org",
}
HASHED = "its addresses are hashed by"


@pytest.fixture(params=ENGINES)
def url(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> str:
    """The URL of an empty database."""
    return f"sqlite:///{tmp_path}/bley.db" if request.param == "sqlite" else servers.new_url(request.param)


def new_bley(folder: Path, url: str, name: str = "one", **settings: object) -> Bley:
    """Return a bley with a folder of its own, which has its key."""
    (folder / name).mkdir()
    key = folder / name / "bley.key"
    return Bley(folder / name, database=url, **{"privacy": "keyed-hash", "privacy_key_file": key, **settings})


def start_fails(bley: Bley) -> str:
    """Return the error of a start that is refused."""
    said = bley.run("serve", status=2)
    assert "Traceback" not in said
    return said


def test_a_lost_key_is_a_fault_until_it_is_restored_or_all_is_forgotten(tmp_path: Path, url: str) -> None:
    bley = new_bley(tmp_path, url)
    key = tmp_path / "one" / "bley.key"
    with bley:
        bley.ask(**MAIL)
    kept = key.read_text()
    key.unlink()
    missing = f"{HASHED} a key that is missing: {key}: restore this file from a backup"
    assert missing in start_fails(bley)
    (tmp_path / "none").write_text('{"bley": "3.0.0", "format": 1, "privacy": "off"}\n')
    forget, look, take = (
        ["forget", "--sender", "a@example.com"],
        ["why", "a@example.com"],
        ["import", tmp_path / "none"],
    )
    for command in (["export"], forget, look, take, [*take, "--dry-run"]):
        assert missing in bley.run(*command, status=2)
    assert missing in bley.run("explain", *request_options(**MAIL))
    assert not key.exists()
    key.write_text(kept)
    with bley:
        bley.ask(**MAIL)
        assert "reason=early" in bley.log()
    key.unlink()
    assert "1 record would be forgotten" in bley.run("forget", "--all", "--dry-run")
    assert missing in start_fails(bley)
    bley.run("forget", "--all")
    with bley:
        assert key.read_text() != kept


def test_of_two_first_nodes_with_keys_of_their_own_one_is_refused(tmp_path: Path, url: str) -> None:
    """This holds at every attempt; the other one's key is that of the store."""

    async def claim(key: PrivacyKey) -> str:
        engine = open_engine(parse_database(url))
        try:
            if not await engine.is_prepared():
                await engine.prepare()
            await confirm_key(engine, key, claims=True)
        except PrivacyKeyError as error:
            return str(error)
        finally:
            await engine.close()
        return ""

    async def claim_at_once() -> list[str]:
        keys = [PrivacyKey(bytes([number]) * 32, tmp_path / str(number), is_saved=False) for number in range(4)]
        return await asyncio.gather(*map(claim, keys))

    results = asyncio.run(claim_at_once())
    assert results.count("") == 1
    assert all(HASHED in result for result in results if result)
    assert [path.name for path in tmp_path.iterdir() if path.name.isdecimal()] == [str(results.index(""))]


def test_another_key_is_a_fault_with_workers_too(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/bley.db"
    with new_bley(tmp_path, url):
        pass
    other = new_bley(tmp_path, url, "two", workers=2)
    (tmp_path / "two" / "bley.key").write_text("ab" * 32)
    assert f"{HASHED} another key than that in {tmp_path}/two/bley.key" in start_fails(other)


def test_clear_and_hashed_addresses_are_not_mixed(tmp_path: Path) -> None:
    with Bley(tmp_path) as bley:
        bley.ask(**MAIL)
    bley.write_settings(privacy="keyed-hash")
    assert "its addresses are in clear: to hash them, `bley export` them" in start_fails(bley)
    assert not (tmp_path / "bley.key").exists()
    with new_bley(tmp_path, f"sqlite:///{tmp_path}/hashed.db") as hashed:
        hashed.ask(**MAIL)
    hashed.write_settings(privacy="off")
    assert "its addresses are hashed: set privacy = keyed-hash" in hashed.run("export", status=2)
    assert "its addresses are hashed: set privacy = keyed-hash" in start_fails(hashed)


def test_an_export_is_imported_with_its_own_key_only(tmp_path: Path) -> None:
    with Bley(tmp_path, privacy="keyed-hash") as bley:
        bley.ask(**MAIL)
    bley.run("export", tmp_path / "records")
    other = new_bley(tmp_path, f"sqlite:///{tmp_path}/other.db", "two")
    printed = other.run("import", tmp_path / "records", status=1)
    assert "has addresses that are hashed by another key than this bley's: import it into an empty store" in printed
    assert not (tmp_path / "other.db").exists()
    (tmp_path / "two" / "bley.key").write_bytes((tmp_path / "bley.key").read_bytes())
    assert "1 record imported" in other.run("import", tmp_path / "records")


def test_a_reload_keeps_the_key_that_is_in_force(tmp_path: Path) -> None:
    """A lost key file, or a change of privacy, would make strangers of all triplets."""
    with Bley(tmp_path, privacy="keyed-hash") as bley:
        bley.ask(**MAIL)
        (tmp_path / "bley.key").unlink()
        bley.reload()
        assert f"{tmp_path}/bley.key has another key, or is missing: the old key stays" in bley.log()
        bley.write_settings(privacy="off")
        bley.reload()
        assert "privacy has changed: takes effect after a restart" in bley.log()
        assert not (tmp_path / "bley.key").exists()
        bley.ask(**MAIL)
        assert "reason=early" in bley.log()
