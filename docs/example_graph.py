"""Draws the example of docs/graph.md from made-up mail: `python docs/example_graph.py [CHART [FILE]]`.

CHART is the name of one of the charts of `bley graph` (mail-7d), FILE where it goes (docs/graph-example.png).
The mail: more of it by day than by night and on weekdays than on weekends, in shares as they are usual, and on one
morning a wave from access lines and listed hosts. Nobody's mail is in it, and the same chart is the same file.
"""

import math
import random
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bley.commands.graph.charts import charts
from bley.commands.graph.drawing import draw
from bley.core.history.periods import PERIODS, Period, slots
from bley.core.history.statistics import FOUND, Count

NOW = datetime(2026, 11, 26, 14, 47, tzinfo=UTC)
WAVE = datetime(2026, 11, 24, 5, tzinfo=UTC), datetime(2026, 11, 24, 11, tzinfo=UTC)

AN_HOUR = {
    ("pass", "known"): 160,
    ("pass", "clean"): 85,
    ("pass", "trusted"): 45,
    ("pass", "exempt-recipient"): 3,
    ("pass", "waited"): 9,
    ("greylist", "helo"): 42,
    ("greylist", "dnsbl"): 38,
    ("greylist", "dynamic"): 11,
    ("greylist", "client-bad"): 14,
    ("greylist", "spf"): 4,
    ("greylist", "sender-is-recipient"): 3,
    ("greylist", "helo-looks-dynamic"): 5,
    ("greylist", "early"): 16,
    (FOUND, "helo-mismatch"): 61,
    (FOUND, "helo-half-match"): 24,
    (FOUND, "client-has-no-name"): 33,
    (FOUND, "dnsbl"): 40,
    (FOUND, "dnswl"): 45,
    (FOUND, "client-looks-dynamic"): 19,
    (FOUND, "helo-looks-dynamic"): 12,
    (FOUND, "helo-not-fqdn"): 9,
    (FOUND, "helo-bare-address"): 4,
    (FOUND, "helo-is-local"): 3,
    (FOUND, "helo-claims-us"): 2,
    (FOUND, "sender-is-recipient"): 4,
    (FOUND, "spf-fail"): 8,
    (FOUND, "spf-no-pass"): 30,
}
"""How many at a middling hour."""

GROWS = {"helo", "dnsbl", "dynamic", "early", "helo-mismatch", "client-looks-dynamic", "client-has-no-name"}
"""What the wave is seen by."""


def counts(period: Period) -> dict[Count, int]:
    """What happened in each slot until NOW."""
    chance = random.Random(1)
    step = int(period.slot.total_seconds())
    found = {}
    for slot in slots(period, NOW, {}):
        middle = slot.start + min(period.slot, max(NOW - slot.start, timedelta(0))) / 2
        hours = 2 * (middle - slot.start) / timedelta(hours=1)
        for (kind, name), number in AN_HOUR.items():
            expected = number * hours * (busy(middle) if kind == "pass" else math.sqrt(busy(middle)))
            expected *= 4 if name in GROWS and WAVE[0] <= middle < WAVE[1] else 1
            made_up = round(chance.gauss(expected, math.sqrt(expected)))
            found[Count(step, int(slot.start.timestamp()), kind, name)] = max(made_up, 0)
    return found


def busy(at: datetime) -> float:
    """How much mail there is at that time, 1 is middling."""
    by_day = 1 - 0.6 * math.cos((at.hour + at.minute / 60 - 2) / 12 * math.pi)
    return by_day * (0.45 if at.weekday() >= 5 else 1)


def main(name: str = "mail-7d", file: str = str(Path(__file__).with_name("graph-example.png"))) -> None:
    """Draw one."""
    period = PERIODS[name.rpartition("-")[2]]
    made = charts(period, NOW, slots(period, NOW, counts(period)))
    Path(file).write_bytes(draw(next(chart for chart in made if chart.name == name), "png"))


if __name__ == "__main__":
    main(*sys.argv[1:])
