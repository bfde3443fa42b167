"""Records to fill a store with."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from bley.commands.json_lines import header, line
from bley.core.greylist import Record, Status
from bley.core.mail import Triplet

__all__ = ["records_file"]

AGE = timedelta(days=10)
"""The age of each record: too old for any cache, so that its next sighting is written."""


def records_file(folder: Path, count: int) -> Path:
    """Write the triplets 0 to `count` of policy_load as known records, in the form of `bley export`."""
    file = folder / f"{count}.jsonl"
    seen = datetime.now(UTC) - AGE
    record = Record(Status.CLEAN, seen, seen)
    with file.open("w") as lines:
        print(header("off"), file=lines)
        for number in range(count):
            domain, recipient = f"d{number}.example", f"user{number % 5000}@example.org"
            print(line(Triplet(domain, f"jane@{domain}", recipient), record), file=lines)
    return file
