"""The state of a running bley: open descriptors, running tasks, and counters."""

import asyncio
import contextlib
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.running import Bley
from bley.core.endpoint import split_endpoint

__all__ = ["Metrics", "Standing", "decisions_total", "dropped_decisions", "get_page", "read_metrics", "stands"]

Metrics = Mapping[tuple[str, str], float]
"""Values by name and labels, as exported."""

_SAMPLE = re.compile(r"([a-z_]+)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_POOL_THREADS = min(32, (os.cpu_count() or 1) + 4)
"""Threads that asyncio.to_thread starts one by one while no other is idle."""

_KEPT_BY_SQLITE = 4
"""Descriptors of closed connections that SQLite keeps, for the next ones, while the process has another connection.

Closing one would release the locks of all (fcntl). There are as many as there were connections at once: a store, two of
the dashboard, and those of the audit.
"""

_BESIDE_A_DATABASE = ("-wal", "-shm")
"""Files that an SQLite connection has besides its database, which is counted: these are open only while it is used."""

_PAGE_SECONDS = 20.0
_SAMPLES = 6


@dataclass(frozen=True)
class Standing:
    """The state of all processes together; `megabytes` is resident memory in 10^6 bytes."""

    descriptors: int
    threads: int
    megabytes: float
    connections: int
    tasks: int
    spf_evaluations: int
    open_files: tuple[str, ...]
    """The targets of the descriptors: names, and kinds of sockets."""

    @property
    def figures(self) -> dict[str, float]:
        """All numbers by name."""
        return {name: value for name, value in asdict(self).items() if name != "open_files"}

    def faults(self, before: "Standing", more_megabytes: float) -> list[str]:
        """Return the figures that exceed the earlier ones.

        Some more memory is no leak, since caches and the allocator grow; nor are the threads of asyncio's pool.
        """
        new = Counter(self.open_files) - Counter(before.open_files)
        kept = min(sum(number for name, number in new.items() if name.endswith("/bley.db")), _KEPT_BY_SQLITE)
        more = {"megabytes": more_megabytes, "threads": _POOL_THREADS, "descriptors": kept}
        faults = [
            f"{name}: {value:,} at the end, {least:,} after the first minute"
            for name, value in self.figures.items()
            if value > (least := before.figures[name]) + more.get(name, 0)
        ]
        if self.descriptors > before.descriptors + kept:
            faults.append(f"open at the end, not after the first minute: {dict(new)}")
        return faults


async def stands(bley: Bley) -> Standing:
    """Return the state at rest: the minimum of each figure over some seconds, since sockets come and go."""
    samples = [await _stands_now(bley)]
    while len(samples) < _SAMPLES:
        await asyncio.sleep(1)
        samples.append(await _stands_now(bley))
    least = min(samples, key=lambda sample: sample.descriptors)
    figures: dict[str, Any] = {name: min(sample.figures[name] for sample in samples) for name in least.figures}
    return Standing(**figures, open_files=least.open_files)


async def _stands_now(bley: Bley) -> Standing:
    metrics = await read_metrics(bley)
    processes = [Path(f"/proc/{process_id}") for process_id in bley.process_ids]
    open_files = tuple(name for process in processes for name in _open_files(process))
    return Standing(
        descriptors=len(open_files),
        threads=sum(len(list((process / "task").iterdir())) for process in processes),
        megabytes=round(bley.rss_megabytes, 1),
        connections=int(metrics["bley_connections", ""]),
        tasks=int(metrics["bley_running", 'what="tasks"']),
        spf_evaluations=int(metrics["bley_running", 'what="spf"']),
        open_files=open_files,
    )


def _open_files(process: Path) -> Iterator[str]:
    """Yield the target of each descriptor; for a socket, its protocol and both ends as in proc_pid_net(5)."""
    sockets = {
        fields[9]: f"{kind} {fields[1]} {fields[2]}"
        for kind in ("tcp", "udp", "tcp6", "udp6")
        for fields in map(str.split, (process / "net" / kind).read_text().splitlines()[1:])
    }
    for descriptor in (process / "fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed in the meantime
            name = str(descriptor.readlink())
            if name.endswith(_BESIDE_A_DATABASE):
                continue
            inode = name.removeprefix("socket:[").removesuffix("]")
            yield sockets.get(inode, "socket" if name.startswith("socket:") else name)


async def read_metrics(bley: Bley) -> Metrics:
    """Return its values at /metrics."""
    page = await get_page(bley, "/metrics")
    found = (_SAMPLE.fullmatch(line) for line in page.splitlines())
    return {(match[1], match[2] or ""): float(match[3]) for match in found if match}


def decisions_total(metrics: Metrics) -> dict[tuple[str, str], int]:
    """Return bley_decisions_total by action and reason."""
    samples = ((dict(_LABEL.findall(labels)), value) for (name, labels), value in metrics.items()
               if name == "bley_decisions_total")  # fmt: skip
    return {(labels["action"], labels["reason"]): int(value) for labels, value in samples if value}


def dropped_decisions(metrics: Metrics) -> int:
    """Return the number of decisions that were only counted."""
    return int(metrics["bley_store_dropped_total", 'what="decisions"'])


async def get_page(bley: Bley, path: str) -> str:
    """Return the response for this path, with status line and headers. Raises TimeoutError."""
    host, port = split_endpoint(bley.web_place, 0)
    async with asyncio.timeout(_PAGE_SECONDS):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {bley.web_place}\r\nConnection: close\r\n\r\n".encode())
        page = await reader.read()
        writer.close()
        await writer.wait_closed()
    return page.decode(errors="replace")
