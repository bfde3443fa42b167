"""What is counted for Prometheus while requests are answered; docs/metrics.md describes it. Shown by web.py."""

from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics

from bley.core.evidence import Check, Fact

__all__ = ["FOUND", "REGISTRY", "STORE_DOWN", "STORE_DROPPED", "UNKNOWN_FINDINGS"]

disable_created_metrics()  # type: ignore[no-untyped-call] # nobody asks since when a counter counts

REGISTRY = CollectorRegistry()

UNKNOWN_FINDINGS = Counter(
    "bley_unknown_findings",
    "Findings that counted nothing since they were late or failed.",
    ["check"],
    registry=REGISTRY,
)

for _check in Check:
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
