"""A store has one privacy key: the first one that claims it."""

from pathlib import Path

import pytest

from bley.core.errors import PrivacyKeyError
from bley.settings.privacy_key import PrivacyKey, load_key, read_key
from bley.store.key_claim import bring_key, confirm_key


class FakeEngine:
    """Has a check value, or gets that of `faster`, a node that claims its key at the same time."""

    place = "the engine"

    def __init__(self, check: int | None = None, faster: int | None = None) -> None:
        self.check, self.faster = check, faster

    async def key_check(self) -> int | None:
        return self.check

    async def claim_key(self, check: int) -> int:
        self.check = self.check or self.faster or check
        return self.check


async def _confirm(engine: FakeEngine, key: PrivacyKey, *, claims: bool = True) -> None:
    await confirm_key(engine, key, claims=claims)  # type: ignore[arg-type] # which asks nothing else


def _is_there(file: Path) -> bool:
    return file.exists()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "bley.key"


async def test_a_new_store_takes_a_new_key_which_is_saved(file: Path) -> None:
    engine, key = FakeEngine(), load_key(file)
    await _confirm(engine, key)
    assert (engine.check, read_key(file)) == (key.check, key.value)
    await _confirm(engine, load_key(file))


async def test_a_new_key_is_saved_before_the_store_is_prepared(file: Path) -> None:
    """The records of bley 2 are then hashed by it."""
    engine, key = FakeEngine(), load_key(file)
    assert not await bring_key(engine, key)  # type: ignore[arg-type] # as above
    assert (engine.check, read_key(file)) == (None, key.value)
    await _confirm(engine, load_key(file))
    assert await bring_key(engine, load_key(file))  # type: ignore[arg-type]


async def test_a_command_that_only_reads_claims_nothing(file: Path) -> None:
    engine = FakeEngine()
    await _confirm(engine, load_key(file), claims=False)
    assert engine.check is None
    assert not _is_there(file)


@pytest.mark.parametrize("claims", [True, False])
async def test_a_lost_key_is_a_fault_and_no_other_is_made(file: Path, *, claims: bool) -> None:
    with pytest.raises(PrivacyKeyError, match=f"^the engine: its addresses .* a key that is missing: {file}: restore"):
        await _confirm(FakeEngine(check=4711), load_key(file), claims=claims)
    assert not _is_there(file)


async def test_another_key_is_a_fault_and_its_file_stays(file: Path) -> None:
    load_key(file).save()
    with pytest.raises(PrivacyKeyError, match=f"another key than that in {file}"):
        await _confirm(FakeEngine(check=4711), load_key(file))
    assert _is_there(file)


async def test_of_two_first_nodes_one_is_refused_and_keeps_no_key(file: Path) -> None:
    with pytest.raises(PrivacyKeyError, match="its addresses are hashed by"):
        await _confirm(FakeEngine(faster=4711), load_key(file))
    assert not _is_there(file)


async def test_addresses_in_clear_are_not_mixed_with_hashed_ones(file: Path) -> None:
    clear, hashed = FakeEngine(), FakeEngine()
    await _confirm(clear, PrivacyKey())
    await _confirm(hashed, load_key(file))
    with pytest.raises(PrivacyKeyError, match="in clear"):
        await _confirm(clear, load_key(file))
    with pytest.raises(PrivacyKeyError, match="set privacy = keyed-hash"):
        await _confirm(hashed, PrivacyKey())


async def test_a_key_that_cannot_be_saved_is_not_claimed(tmp_path: Path) -> None:
    engine, file = FakeEngine(), tmp_path / "missing" / "bley.key"
    with pytest.raises(PrivacyKeyError, match=f"privacy_key_file: {file} cannot be made: No such file or directory"):
        await _confirm(engine, load_key(file))
    assert engine.check is None
