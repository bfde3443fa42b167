"""What is done with the store besides answering requests: `bley import`, `bley export`, `bley forget`."""

import contextlib
from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TextIO

from bley.commands.interruption import InterruptedWorkError, Interruption
from bley.commands.json_lines import header, line
from bley.core.errors import PrivacyKeyError, RefusedError, StoreError
from bley.core.greylist import Record
from bley.core.history.record_filter import RecordFilter
from bley.core.imported_record import ImportedRecord
from bley.core.mail import Triplet
from bley.core.quantity import quantity
from bley.predecessors.record_converter import RecordConverter, open_own
from bley.settings.file import Configuration
from bley.store.engine import Engine
from bley.store.key_claim import bring_key, confirm_key

__all__ = ["ImportCount", "StoreCommands"]

_PORTION = 1000


@dataclass(frozen=True, slots=True)
class ImportCount:
    """What came of an import; `skipped` is counted by why."""

    taken: int
    skipped: Counter[str]


class StoreCommands:
    """Works on the store of this configuration, with or without a running bley; a `dry_run` changes nothing.

    Each method raises StoreError when that is not possible, and InterruptedWorkError between two portions.
    """

    def __init__(
        self, configuration: Configuration, now: datetime, interruption: Interruption, *, dry_run: bool = False
    ) -> None:
        self._configuration, self._now, self._dry_run = configuration, now, dry_run
        self._interruption = interruption

    async def take(self, items: AsyncIterable[ImportedRecord | tuple[Triplet, Record] | str]) -> ImportCount:
        """Unite what was read elsewhere with what is known; a text is why something could not be read.

        Portion by portion: what was written stays when it is interrupted, and may be written again.
        """
        lifetimes = self._configuration.settings.lifetimes
        taking = RecordConverter(self._configuration.triplet_rules, lifetimes, self._now)
        taken = 0
        portions = taking.portions(items, _PORTION)
        records = await anext(portions, None)  # before the store is opened: a file that cannot be used makes none
        if self._dry_run:
            await self._check_key()
        async with contextlib.nullcontext() if self._dry_run else self._engine(makes=True) as engine:
            with _progress("importing") as advance:
                while records:
                    refused = await self._unite(engine, records) if engine else []
                    taking.skipped.update(f"the store refuses it: {why}" for _, why in refused)
                    taken += len(records) - len(refused)
                    advance(len(records))
                    self._stop_after(taken)
                    records = await anext(portions, None)
        self._stop_after(taken)
        return ImportCount(taken, taking.skipped)

    async def _unite(
        self, engine: Engine, records: Sequence[tuple[Triplet, Record]]
    ) -> Sequence[tuple[tuple[Triplet, Record], str]]:
        """Unite them with what is known; return what the store refuses, and why."""
        try:
            await engine.unite(records, self._now, self._configuration.settings.lifetimes)
        except RefusedError as error:
            return error.refused
        return []

    async def export(self, file: TextIO) -> int:
        """Write all records as JSON lines; how many."""
        count = 0
        async with self._engine() as engine:
            file.write(header(self._configuration.settings.privacy, self._configuration.privacy_key) + "\n")
            with _progress("exporting") as advance:
                async for records in engine.records():
                    file.writelines(f"{line(*record)}\n" for record in records)
                    count += len(records)
                    advance(len(records))
                    self._stop_if_wanted("the export is not whole")
        return count

    async def forget(self, wanted: RecordFilter) -> list[tuple[Triplet, Record]]:
        """Forget the records that are meant, here and in every running bley; which.

        Raises ValueError where `wanted` names nothing, as RecordFilter.normalised says.
        """
        wanted, normalised = wanted.folded, wanted.normalised(self._configuration.triplet_rules)
        found: list[tuple[Triplet, Record]] = []
        async with self._engine(needs_key=wanted != RecordFilter()) as engine:
            with _progress("looking") as advance:
                async for records in engine.records():
                    found += [record for record in records if normalised.fits(record[0]) or wanted.fits(record[0])]
                    advance(len(records))
                    self._stop_if_wanted("nothing is forgotten")
            for start in range(0, 0 if self._dry_run else len(found), _PORTION):
                self._stop_if_wanted(f"only {quantity(start, 'record')} forgotten")
                await engine.forget([triplet for triplet, _ in found[start : start + _PORTION]])
            if wanted == RecordFilter() and not self._dry_run:
                await self._release_key(engine)
        return found

    async def _check_key(self) -> None:
        """Raise PrivacyKeyError, if there is a store already."""
        try:
            async with self._engine():
                return
        except PrivacyKeyError:
            raise
        except StoreError:
            return  # a dry run needs none

    async def _release_key(self, engine: Engine) -> None:
        """Let a new key be brought to a store that is empty now, where the old one is not at hand."""
        try:
            await confirm_key(engine, self._configuration.key, claims=False)
        except PrivacyKeyError:
            await engine.release_key()

    def _stop_after(self, taken: int) -> None:
        self._stop_if_wanted(f"{quantity(taken, 'record was', 'records were')} taken over; do it again for all")

    def _stop_if_wanted(self, what: str) -> None:
        if self._interruption.is_wanted:
            raise InterruptedWorkError(f"interrupted: {what}")

    @contextlib.asynccontextmanager
    async def _engine(self, *, makes: bool = False, needs_key: bool = True) -> AsyncIterator[Engine]:
        """The store; `makes`: it is made if there is none; `needs_key`: its addresses are hashed as is configured."""
        place = self._configuration.settings.store
        if not makes and place.dbtype == "sqlite3" and not place.file.exists():
            raise StoreError(f"{place}: there is no such file")
        engine = open_own(self._configuration, self._now, read_only=self._dry_run)
        try:
            if not await engine.is_prepared():
                if not makes:
                    raise StoreError(f"{place}: no bley has stored anything there")
                await bring_key(engine, self._configuration.key)
                await engine.prepare()
            if needs_key:
                await confirm_key(engine, self._configuration.key, claims=makes)
            yield engine
        finally:
            await engine.close()


@contextlib.contextmanager
def _progress(what: str) -> Iterator[Callable[[float], None]]:
    """How far it is, on standard error, where that is a terminal."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn(f"{what} records: {{task.completed:,.0f}}"), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda count: progress.advance(task, count)
