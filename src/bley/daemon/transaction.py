"""A change in several parts: each is built first, then all take effect, or none does.

change = prepare(build_log, build_web, build_answers)    raises SettingsError: nothing has changed
change.commit()                                          cannot fail
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from bley.core.errors import Fault, SettingsError

__all__ = ["Prepared", "prepare"]


def _nothing() -> None:
    """What needs no work."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A change that is built and waits: one of the two is called, once. Neither can fail."""

    commit: Callable[[], None]
    """Let it take effect."""
    discard: Callable[[], None] = _nothing
    """Let go of what was built for it."""

    @classmethod
    def of(cls, parts: "list[Prepared]") -> Self:
        """Several as one."""

        def commit() -> None:
            for part in parts:
                part.commit()

        def discard() -> None:
            for part in parts:
                part.discard()

        return cls(commit, discard)


def prepare(*builders: Callable[[], Prepared]) -> Prepared:
    """Build all parts. Raises SettingsError with the faults of all; whatever is raised, what was built is let go."""
    built: list[Prepared] = []
    faults: list[Fault] = []
    try:
        for build in builders:
            try:
                built.append(build())
            except SettingsError as error:
                faults += error.faults
        if faults:
            raise SettingsError(faults)
    except BaseException:
        Prepared.of(built).discard()
        raise
    return Prepared.of(built)
