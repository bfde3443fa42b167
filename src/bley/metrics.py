"""Counters and histograms for Prometheus; docs/metrics.md describes them, and web/ serves them.

With several workers, each counts in files that the supervisor reads (daemon/worker_metrics.py). Gauges, such as the
number of open connections, are computed when they are scraped (status.py).
"""

import os
from collections.abc import Mapping
from functools import cache
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, values

from bley.core.decision import Outcome
from bley.core.errors import ProtocolViolation
from bley.core.findings import CAUSES, LOG_FIELDS, REASONS, AnyCheck, AnyReason, FindingKind
from bley.core.history.statistics import UNKNOWN_CAUSE
from bley.core.reasons import AnswerPath, Reason

__all__ = [
    "ACCEPTED",
    "BATCH_SIZE",
    "CACHE_HITS",
    "CLOSED",
    "FINDINGS",
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
    "VERIFIED_NAMES",
    "WORKER_VARIABLE",
    "count",
    "count_came_back",
    "count_list_answer",
    "observe_answer",
    "observe_answer_from_memory",
]

WORKER_VARIABLE = "BLEY_WORKER"
"""The environment variable with the number of this worker process."""

disable_created_metrics()  # type: ignore[no-untyped-call] # one more series for each counter

if worker := os.environ.get(WORKER_VARIABLE):
    values.ValueClass = values.MultiProcessValue(lambda: worker)  # type: ignore[no-untyped-call]

REGISTRY = CollectorRegistry()

_DECISIONS = Counter(
    "bley_decisions", "Requests answered, by outcome and reason.", ["action", "reason"], registry=REGISTRY
)
_decisions_of = cache(_DECISIONS.labels)
for _each in (Reason.KNOWN, Reason.INTERNAL_ERROR):
    _decisions_of("pass", _each.value)  # these exist from the start, with 0


def count(outcome: Outcome, reason: AnyReason, number: int = 1) -> None:
    """Count decisions."""
    _decisions_of(outcome, reason.value).inc(number)


_CAME_BACK = Counter(
    "bley_came_back",
    "Mails that passed after their wait, by the reason of their deferral.",
    ["reason"],
    registry=REGISTRY,
)
_came_back_of = {cause: _CAME_BACK.labels(cause) for cause in (UNKNOWN_CAUSE, *sorted(CAUSES))}


def count_came_back(cause: str) -> None:
    """Count a mail that passed after its wait; `cause` is one of CAUSES, or empty where it is unknown."""
    _came_back_of[cause or UNKNOWN_CAUSE].inc()


_ANSWER_SECONDS = Histogram(
    "bley_answer_seconds",
    "Time from the request to its answer, by the path to the decision.",
    ["path"],
    buckets=(50e-6, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=REGISTRY,
)

_answers_by = {path: _ANSWER_SECONDS.labels(path) for path in get_args(AnswerPath)}

observe_answer_from_memory = _answers_by["memory"].observe
"""Record the seconds that parsing and answering a request took, without store and checks."""


def observe_answer(reason: AnyReason, seconds: float) -> None:
    """Record the duration of a decision that needed the store, and perhaps the DNS.

    An exemption did only if SPF or a name that the checks verified decided it.
    """
    path = REASONS[reason].path
    _answers_by["checks" if path == "memory" else path].observe(seconds)


_UNKNOWN_FINDINGS = Counter(
    "bley_unknown_findings",
    "Findings that were late or failed, and counted 0.",
    ["check"],
    registry=REGISTRY,
)

UNKNOWN_FINDINGS: Mapping[AnyCheck, Counter] = {check: _UNKNOWN_FINDINGS.labels(check.value) for check in LOG_FIELDS}

_FINDINGS = Counter("bley_findings", "Findings about strangers.", ["finding"], registry=REGISTRY)

FINDINGS = {kind: _FINDINGS.labels(kind.value) for kind in FindingKind}

VERIFIED_NAMES = Counter(
    "bley_verified_names", "Clients whose name bley verified, and the mail server did not.", registry=REGISTRY
)

_SPF_RESULTS = Counter("bley_spf_results", "SPF results, as RFC 7208 names them.", ["result"], registry=REGISTRY)

SPF_RESULTS = {
    result: _SPF_RESULTS.labels(result)
    for result in ("none", "neutral", "pass", "fail", "softfail", "temperror", "permerror")
}

_CACHE_HITS = Counter("bley_cache_hits", "Lookups that a cache answered.", ["cache"], registry=REGISTRY)

CACHE_HITS = {cache: _CACHE_HITS.labels(cache) for cache in ("requests", "triplets", "clients", "spf")}

ACCEPTED = Counter("bley_connections_accepted", "Connections accepted from Postfix or Exim.", registry=REGISTRY)

CLOSED = Counter("bley_connections_closed", "Connections that bley closed on its own.", ["reason"], registry=REGISTRY)

for _reason in ("too-many", "idle", "unfinished", "unread", "internal-error"):
    CLOSED.labels(_reason)

PROTOCOL_ERRORS = Counter("bley_protocol_errors", "Invalid input in place of a request.", ["kind"], registry=REGISTRY)

for _violation in ProtocolViolation:
    PROTOCOL_ERRORS.labels(_violation.value)

STORE_DOWN = Gauge(
    "bley_store_down", "1 while the store is unavailable, else 0.", registry=REGISTRY, multiprocess_mode="livemax"
)

STORE_DROPPED = Counter(
    "bley_store_dropped",
    "Writes dropped because the queue was full or the store refused them.",
    ["what"],
    registry=REGISTRY,
)

for _what in ("writes", "decisions", "counts"):
    STORE_DROPPED.labels(_what)

STORE_PURGED = Counter("bley_store_purged", "Expired rows removed from the store.", ["what"], registry=REGISTRY)

for _what in ("records", "decisions", "counts", "domains"):
    STORE_PURGED.labels(_what)

BATCH_SIZE = Histogram(
    "bley_store_batch_size",
    "Reads and writes of requests in one transaction.",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000),
    registry=REGISTRY,
)

STORE_SECONDS = Histogram(
    "bley_store_transaction_seconds",
    "Duration of a store transaction, by its purpose.",
    ["what"],
    buckets=(2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1),
    registry=REGISTRY,
)

for _what in ("records", "decisions", "news", "purge", "prepare"):
    STORE_SECONDS.labels(_what)

LIST_ANSWERS = Counter("bley_list_answers", "DNS list answers about clients.", ["list", "answer"], registry=REGISTRY)

_list_answers_of = cache(LIST_ANSWERS.labels)


def count_list_answer(name: str, answer: str) -> None:
    """Count an answer of the list of this name, by its meaning."""
    _list_answers_of(name, answer).inc()


LOG_DROPPED = Counter("bley_log_dropped", "Log lines that could not be written.", registry=REGISTRY)
