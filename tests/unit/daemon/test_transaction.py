"""A change in several parts takes effect as a whole, or not at all."""

from collections.abc import Callable

import pytest

from bley.core.errors import Fault, SettingsError
from bley.daemon.transaction import Prepared, prepare


class _Parts:
    """Parts that write down what is done with them."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def part(self, name: str) -> Callable[[], Prepared]:
        def build() -> Prepared:
            self.done.append(f"build {name}")
            return Prepared(
                lambda: self.done.append(f"commit {name}"),
                lambda: self.done.append(f"discard {name}"),
            )

        return build


def _refused(name: str) -> Callable[[], Prepared]:
    def build() -> Prepared:
        raise SettingsError([Fault(name, 1, "is wrong")])

    return build


def test_all_is_built_before_anything_takes_effect() -> None:
    parts = _Parts()
    change = prepare(parts.part("a"), parts.part("b"))
    assert parts.done == ["build a", "build b"]
    change.commit()
    assert parts.done[2:] == ["commit a", "commit b"]


def test_one_that_is_not_wanted_is_let_go() -> None:
    parts = _Parts()
    prepare(parts.part("a"), parts.part("b")).discard()
    assert parts.done[2:] == ["discard a", "discard b"]


def test_of_one_that_fails_all_faults_are_told_and_what_was_built_is_let_go() -> None:
    parts = _Parts()
    with pytest.raises(SettingsError) as caught:
        prepare(parts.part("a"), _refused("b"), parts.part("c"), _refused("d"))
    assert [fault.file for fault in caught.value.faults] == ["b", "d"]
    assert parts.done == ["build a", "build c", "discard a", "discard c"]


def test_a_bug_lets_go_too() -> None:
    parts = _Parts()

    def fail() -> Prepared:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        prepare(parts.part("a"), fail)
    assert parts.done == ["build a", "discard a"]
