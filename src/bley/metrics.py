"""What is counted for Prometheus while requests are answered; docs/metrics.md describes it. Shown by web.py."""

from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics

from bley.core.decision import Outcome
from bley.core.evidence import ALWAYS_TOLD, Fact
from bley.core.policy import Reason

__all__ = ["FOUND", "LOG_DROPPED", "REGISTRY", "STORE_DOWN", "STORE_DROPPED", "UNKNOWN_FINDINGS", "count"]

disable_created_metrics()  # type: ignore[no-untyped-call] # nobody asks since when a counter counts

REGISTRY = CollectorRegistry()

_DECISIONS = Counter(
    "bley_decisions", "Requests answered, by what became of them and why.", ["action", "reason"], registry=REGISTRY
)
_decisions_of = cache(_DECISIONS.labels)
_decisions_of("pass", Reason.KNOWN.value)  # so that one is there, with 0, from the start


def count(outcome: Outcome, reason: Reason, number: int = 1) -> None:
    """Count decisions."""
    _decisions_of(outcome, reason.value).inc(number)


UNKNOWN_FINDINGS = Counter(
    "bley_unknown_findings",
    "Findings that counted nothing since they were late or failed.",
    ["check"],
    registry=REGISTRY,
)

for _check in ALWAYS_TOLD:
    UNKNOWN_FINDINGS.labels(_check.value)  # so that each is there, with 0, from the start

FOUND = Counter("bley_findings", "What was found about strangers.", ["finding"], registry=REGISTRY)

for _fact in Fact:
    FOUND.labels(_fact.value)

STORE_DOWN = Gauge("bley_store_down", "1 while the store cannot be used, else 0.", registry=REGISTRY)

STORE_DROPPED = Counter(
    "bley_store_dropped", "What was given up since too much waited for the store.", ["what"], registry=REGISTRY
)

for _what in ("writes", "decisions"):
    STORE_DROPPED.labels(_what)

LOG_DROPPED = Counter("bley_log_dropped", "Lines of the log that could not be written.", registry=REGISTRY)
