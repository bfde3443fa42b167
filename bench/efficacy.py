"""What the checks find in real sessions: sends the first contacts of a labelled file through a running bley.

    .venv/bin/python bench/efficacy.py sessions.jsonl.gz

The file has one JSON object a line: `label` (ham or spam), `client_address`, `client_name`, `helo_name`, `sender`,
`recipient`. A first contact is the first session of its (client_address, sender, recipient). bley runs with its
default checks on a store of its own, without DNS, with `greylist_by = address` and without client memory, so that
every contact is judged by itself. Printed are, for ham and spam, how many are delayed and by which reason, with the
95 % interval of the share (Wilson).
"""

import gzip
import json
import re
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from math import sqrt
from pathlib import Path

SETTINGS = """[bley]
listen_port = 0
dbpath = {folder}
dnsbls =
dnswls =
use_spf = 0
greylist_by = address
cache_valid = 0
trusted_networks =
reject_msg = %(reason)s
"""
ATTRIBUTES = ("client_address", "client_name", "helo_name", "sender", "recipient")
DEFERRAL = "action=DEFER_IF_PERMIT "


def first_contacts(file: Path) -> Iterator[dict[str, str]]:
    """The sessions of `file` that no session with the same triplet precedes."""
    seen = set()
    opener = gzip.open if file.suffix == ".gz" else open
    with opener(file, "rt", encoding="utf-8") as lines:
        for line in lines:
            session = json.loads(line)
            triplet = (session["client_address"], session["sender"].lower(), session["recipient"].lower())
            if triplet not in seen:
                seen.add(triplet)
                yield session


def judge(sessions: Iterator[dict[str, str]], port: int) -> Counter[tuple[str, str]]:
    """How many sessions of each label got which reason, empty for those that passed."""
    counts: Counter[tuple[str, str]] = Counter()
    with socket.create_connection(("127.0.0.1", port), timeout=30) as peer, peer.makefile("r") as answers:
        for session in sessions:
            attributes = {"request": "smtpd_access_policy", "protocol_state": "RCPT"}
            attributes |= {name: session[name] for name in ATTRIBUTES}
            peer.sendall("".join(f"{name}={value}\n" for name, value in attributes.items()).encode() + b"\n")
            answer = answers.readline().strip()
            answers.readline()
            counts[session["label"], answer.removeprefix(DEFERRAL) if answer.startswith(DEFERRAL) else ""] += 1
    return counts


def interval(part: int, whole: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson's score)."""
    z = 1.96
    share = part / whole
    middle = share + z * z / (2 * whole)
    spread = z * sqrt(share * (1 - share) / whole + z * z / (4 * whole * whole))
    return (middle - spread) / (1 + z * z / whole), (middle + spread) / (1 + z * z / whole)


def table(counts: Counter[tuple[str, str]]) -> str:
    """The counts as they are printed."""
    labels = ("ham", "spam")
    totals = {label: sum(count for (of, _), count in counts.items() if of == label) for label in labels}
    reasons = Counter[str]()
    for (_, reason), count in counts.items():
        reasons[reason] += count
    lines = [f"{'':22}" + "".join(f"{label:>8}{'%':>9}{'95 % interval':>18}" for label in labels)]
    lines.append(f"{'first contacts':22}" + "".join(f"{totals[label]:8}{'':27}" for label in labels))

    def row(name: str, found: dict[str, int]) -> str:
        cells = ""
        for label in labels:
            low, high = interval(found[label], totals[label]) if totals[label] else (0.0, 0.0)
            share = found[label] / totals[label] if totals[label] else 0.0
            cells += f"{found[label]:8}{share:9.2%}{f'{low:.2%} - {high:.2%}':>18}"
        return f"{name:22}{cells}"

    delayed = {label: totals[label] - counts[label, ""] for label in labels}
    lines.append(row("delayed", delayed))
    lines += [
        row(f"  {reason}", {label: counts[label, reason] for label in labels})
        for reason, _ in reasons.most_common()
        if reason
    ]
    return "\n".join(line.rstrip() for line in lines)


def main() -> None:
    """Start a bley, send the sessions of the file named on the command line, print the table."""
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_file():
        sys.exit("usage: efficacy.py SESSIONS.jsonl[.gz]")
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder, "bley.conf")
        settings.write_text(SETTINGS.format(folder=folder))
        command = [sys.executable, "-m", "bley", "serve", "-c", str(settings)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as bley:
            assert bley.stdout
            listening = re.search(r"listens on 127\.0\.0\.1:(\d+)", bley.stdout.readline())
            if listening is None:
                sys.exit("bley did not start")
            # Its log goes nowhere; unread, the pipe would fill and stop it.
            with subprocess.Popen(["cat"], stdin=bley.stdout, stdout=subprocess.DEVNULL):
                try:
                    counts = judge(first_contacts(Path(sys.argv[1])), int(listening[1]))
                finally:
                    bley.terminate()
                    bley.stdout.close()
    print(table(counts))


if __name__ == "__main__":
    main()
