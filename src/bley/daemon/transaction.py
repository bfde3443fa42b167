"""A transaction over several components: all parts are built first, then all take effect or none does.

change = prepare(build_log, build_web, build_rules)    raises SettingsError; nothing has changed
change.commit()                                        only assigns, so it cannot fail
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from bley.core.errors import Fault, SettingsError

__all__ = ["Prepared", "prepare"]


def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Prepared:
    """A change that is built but not in force. Exactly one of the two is called, once; neither can fail."""

    commit: Callable[[], None]
    """Put the change into force."""
    discard: Callable[[], None] = _nothing
    """Release what was built for the change."""

    @classmethod
    def of(cls, parts: "list[Prepared]") -> Self:
        """Combine several changes into one."""

        def commit() -> None:
            for part in parts:
                part.commit()

        def discard() -> None:
            for part in parts:
                part.discard()

        return cls(commit, discard)


def prepare(*builders: Callable[[], Prepared]) -> Prepared:
    """Build all parts and return them as one change.

    Raises SettingsError with the faults of all parts. On any exception the parts already built are discarded.
    """
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
