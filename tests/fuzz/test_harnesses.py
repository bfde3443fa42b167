"""Each harness with its seeds, its past finds, and some random inputs."""

import random

import pytest

from tests import step_time
from tests.fuzz.fields import Fields
from tests.fuzz.harness import NAMES, Harness, load_harness
from tests.fuzz.mutation import mutated
from tests.step_time import LONGEST_SECONDS, Steps, run_in_time

_BY_CHANCE = 60
"""Random inputs of each harness, which take a second at most."""

_harnesses = pytest.mark.parametrize("name", NAMES)


@_harnesses
def test_seeds_are_sound(name: str) -> None:
    harness = load_harness(name)
    for seed in harness.seeds:
        harness.check(seed)


@_harnesses
def test_what_was_found_once_is_mended(name: str) -> None:
    harness = load_harness(name)
    for find, data in harness.finds.items():
        try:
            harness.check(data)
        except Exception as error:
            raise AssertionError(f"{name}: {find}") from error


@_harnesses
def test_inputs_by_chance_show_no_defect(name: str) -> None:
    """The inputs are the same each time, so a failure belongs to the present change; `make fuzz` has others."""
    harness = load_harness(name)
    for data, _ in zip(mutated(harness, random.Random(name)), range(_BY_CHANCE), strict=False):
        try:
            harness.check(data)
        except Exception as error:
            raise AssertionError(f"{name}: {data!r}") from error


def test_a_harness_s_inputs_stay_within_its_length() -> None:
    harness = Harness(check=lambda _: None, seeds=[b"x" * 100], longest=10)
    for data, _ in zip(mutated(harness, random.Random(1)), range(20), strict=False):
        assert len(data) <= harness.longest


def test_fields_are_cut_at_separators_and_their_repeats_expanded() -> None:
    fields = Fields(b"ab\xff\x01\x01c\xfe\x05\xfe\xc3\xbc")
    assert fields.octets() == b"a" + b"b" * 17 + b"c"
    assert fields.pick("abc") == "c"
    assert fields.text() == "ü"
    assert not fields
    assert fields.text() == ""


def test_a_step_that_is_slow_each_time_is_a_find() -> None:
    def run(steps: Steps) -> None:
        steps.longest = 10.0

    with pytest.raises(AssertionError, match=r"a step takes 10000\.0 ms"):
        run_in_time(run)


def test_a_step_is_as_slow_as_its_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(steps: Steps) -> None:
        steps.longest = 2 * LONGEST_SECONDS

    monkeypatch.setattr(step_time, "_ORDINARY_WORK", range(0))
    with pytest.raises(AssertionError):
        run_in_time(run)
    monkeypatch.setattr(step_time, "_ORDINARY_WORK", range(240_000))
    run_in_time(run)


def test_a_step_that_is_slow_once_is_noise() -> None:
    slow = [10.0, 0.0]

    def run(steps: Steps) -> str:
        steps.longest = slow.pop(0)
        return "result"

    assert run_in_time(run) == "result"
