"""What is counted for Prometheus while requests are answered; docs/metrics.md describes it. Shown by web/.

A worker of several counts in files that its supervisor reads (workers_metrics.py). What stands at a moment, how many
connections are open say, is not counted here but told when somebody looks (state_report.py).
"""

import os
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, values

from bley.core.decision import Outcome
from bley.core.errors import ProtocolViolation
from bley.core.evidence import ALWAYS_TOLD, Fact
from bley.core.policy import Reason

__all__ = [
    "ACCEPTED",
    "BATCH_SIZE",
    "CACHE_HITS",
    "CLOSED",
    "FOUND",
    "LIST_ANSWERS",
    "LOG_DROPPED",
    "PROTOCOL_ERRORS",
    "REGISTRY",
    "SPF_RESULTS",
    "STORE_DOWN",
    "STORE_DROPPED",
    "STORE_PURGED",
    "STORE_SECONDS",
    "UNKNOWN_FINDINGS",
    "WORKER_VARIABLE",
    "count",
    "observe_answer",
    "observe_answer_from_memory",
]

WORKER_VARIABLE = "BLEY_WORKER"
"""The number of the worker that this process is."""

disable_created_metrics()  # type: ignore[no-untyped-call] # nobody asks since when a counter counts

if worker := os.environ.get(WORKER_VARIABLE):
    values.ValueClass = values.MultiProcessValue(lambda: worker)  # type: ignore[no-untyped-call]

REGISTRY = CollectorRegistry()

_DECISIONS = Counter(
    "bley_decisions", "Requests answered, by what became of them and why.", ["action", "reason"], registry=REGISTRY
)
_decisions_of = cache(_DECISIONS.labels)
for _each in (Reason.KNOWN, Reason.INTERNAL_ERROR):
    _decisions_of("pass", _each.value)  # so that these are there, with 0, from the start


def count(outcome: Outcome, reason: Reason, number: int = 1) -> None:
    """Count decisions."""
    _decisions_of(outcome, reason.value).inc(number)


_ANSWER_SECONDS = Histogram(
    "bley_answer_seconds",
    "From the request to its answer, by who had to be asked.",
    ["path"],
    buckets=(50e-6, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=REGISTRY,
)

_PATH = {
    Reason.KNOWN: "store",
    Reason.WAITED: "store",
    Reason.EARLY: "store",
    Reason.CLIENT_GOOD: "client",
    Reason.CLIENT_BAD: "client",
    Reason.STORE_ERROR: "failed",
    Reason.INTERNAL_ERROR: "failed",
}
"""What has led to a decision that was not made from memory; to all others, the checks have."""

_answers_by = {path: _ANSWER_SECONDS.labels(path) for path in ("memory", "store", "client", "checks", "failed")}

observe_answer_from_memory = _answers_by["memory"].observe
"""It took so many seconds to read a request and to answer it at once."""


def observe_answer(reason: Reason, seconds: float) -> None:
    """It took so long to decide with the store's help, and maybe the DNS's."""
    _answers_by[_PATH.get(reason, "checks")].observe(seconds)


_UNKNOWN_FINDINGS = Counter(
    "bley_unknown_findings",
    "Findings that counted nothing since they were late or failed.",
    ["check"],
    registry=REGISTRY,
)

UNKNOWN_FINDINGS = {check: _UNKNOWN_FINDINGS.labels(check.value) for check in ALWAYS_TOLD}

_FOUND = Counter("bley_findings", "What was found about strangers.", ["finding"], registry=REGISTRY)

FOUND = {fact: _FOUND.labels(fact.value) for fact in Fact}

SPF_RESULTS = Counter("bley_spf_results", "What SPF said, by RFC 7208's words.", ["result"], registry=REGISTRY)

for _result in ("none", "neutral", "pass", "fail", "softfail", "temperror", "permerror"):
    SPF_RESULTS.labels(_result)

_CACHE_HITS = Counter("bley_cache_hits", "What was found in memory.", ["cache"], registry=REGISTRY)

CACHE_HITS = {cache: _CACHE_HITS.labels(cache) for cache in ("requests", "triplets", "clients", "spf")}

ACCEPTED = Counter("bley_connections_accepted", "Connections of Postfix's or Exim's.", registry=REGISTRY)

CLOSED = Counter(
    "bley_connections_closed", "Connections that bley has closed by itself.", ["reason"], registry=REGISTRY
)

for _reason in ("too-many", "idle", "unfinished", "unread", "internal-error"):
    CLOSED.labels(_reason)

PROTOCOL_ERRORS = Counter("bley_protocol_errors", "What came and was no request.", ["kind"], registry=REGISTRY)

for _breach in ProtocolViolation:
    PROTOCOL_ERRORS.labels(_breach.value)

STORE_DOWN = Gauge(
    "bley_store_down", "1 while the store cannot be used, else 0.", registry=REGISTRY, multiprocess_mode="livemax"
)

STORE_DROPPED = Counter(
    "bley_store_dropped",
    "What was given up: too much waited for the store, or it refused it.",
    ["what"],
    registry=REGISTRY,
)

for _what in ("writes", "decisions", "counts"):
    STORE_DROPPED.labels(_what)

STORE_PURGED = Counter("bley_store_purged", "Old rows that were forgotten.", ["what"], registry=REGISTRY)

for _what in ("records", "decisions", "counts"):
    STORE_PURGED.labels(_what)

BATCH_SIZE = Histogram(
    "bley_store_batch_size",
    "Writes and reads of requests in one transaction.",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000),
    registry=REGISTRY,
)

STORE_SECONDS = Histogram(
    "bley_store_transaction_seconds",
    "How long the store took, by what it was asked for.",
    ["what"],
    buckets=(2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1),
    registry=REGISTRY,
)

for _what in ("records", "decisions", "news", "purge", "prepare"):
    STORE_SECONDS.labels(_what)

LIST_ANSWERS = Counter("bley_list_answers", "Answers about clients.", ["list", "answer"], registry=REGISTRY)

LOG_DROPPED = Counter("bley_log_dropped", "Lines of the log that could not be written.", registry=REGISTRY)
