"""The speed and memory of `bley try`: an mbox of a million mails, made of labelled sessions, and its trial.

    .venv/bin/python -m bench.mailboxes SESSIONS.jsonl.gz MBOX [--mails 1000000]

The mails have 3 kB and the Received headers of four mail servers. The sessions are repeated, with other senders each
time, so that all of them stay in the memory of the trial. The trial's CPU time and largest memory are printed.
"""

import gzip
import itertools
import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from tests.written_mail import SERVERS, written_mail

_REST = (
    b"Content-Type: text/plain; charset=utf-8\nMIME-Version: 1.0\nDKIM-Signature: " + b"x" * 700 + b"\n\n"
    b"A line of a body, with the word From in it.\n" * 40 + b"\n"
)


def mails(sessions: list[dict[str, str]]) -> Iterator[bytes]:
    """Yield mails without end, each with its `From ` line."""
    servers = itertools.cycle(SERVERS)
    for round_ in itertools.count():
        for session in sessions:
            local, at, domain = session["sender"].partition("@")
            sender = f"{local}.r{round_}{at}{domain}" if at and round_ else session["sender"]
            header = written_mail(session | {"sender": sender}, next(servers)).partition(b"\n\n")[0]
            yield b"From x@example.com Thu Jan  1 00:00:00 2026\n" + header + b"\n" + _REST


@click.command(help=__doc__)
@click.argument("sessions", type=click.Path(exists=True, path_type=Path))
@click.argument("mbox", type=click.Path(path_type=Path))
@click.option("--mails", "number", default=1_000_000, show_default=True)
def main(sessions: Path, mbox: Path, number: int) -> None:
    """Write the mbox, and measure its trial."""
    read = list(map(json.loads, gzip.decompress(sessions.read_bytes()).splitlines()))
    with mbox.open("wb") as opened:
        opened.writelines(itertools.islice(mails(read), number))
    subprocess.run([sys.executable, "-m", "bley", "try", str(mbox)], check=True, stdout=subprocess.DEVNULL)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = used.ru_utime + used.ru_stime
    click.echo(f"{seconds:.0f} s of CPU time, {number / seconds:.0f} mails a second, {used.ru_maxrss // 1024} MB")


if __name__ == "__main__":
    main()
