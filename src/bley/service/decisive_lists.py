"""Finds, after the answer, the DNS lists that have decided about a stranger alone.

bley answers as soon as no missing answer can change the judgement. By then only the fastest list may have answered, and
it would always seem to have decided alone. So the rest of the answers is awaited here, for a client that is listed.
"""

import asyncio
import logging
from functools import partial

from bley.checks.gather import Gathered
from bley.core.evidence import Evidence, is_listed
from bley.core.findings import Check
from bley.core.greylist import Status
from bley.core.history.list_counts import ListEvent, cause_with_lists, list_kind
from bley.core.policy import Judgement, decisive_lists
from bley.ports import Store
from bley.service.pending_request import PendingRequest

__all__ = ["DecisiveLists"]

_MOST_AWAITED = 1000
"""Strangers whose missing answers are awaited at the same time, some 10 KB each. Of more, the answers so far decide."""

_log = logging.getLogger(__name__)


class DecisiveLists:
    """Counts the lists that have decided alone, and records those that have deferred as the cause of the deferral."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._awaited: set[asyncio.Future[Evidence]] = set()

    def follow(self, pending: PendingRequest, gathered: Gathered, judgement: Judgement) -> None:
        """Find the lists that have decided about the stranger alone, once it is answered and all answers are there."""
        whole = gathered.whole
        if whole and len(self._awaited) < _MOST_AWAITED:
            self._awaited.add(whole)
            whole.add_done_callback(partial(self._take_whole, pending, judgement))
        elif is_listed(gathered.evidence):
            gathered.cancel_rest()
            asyncio.get_running_loop().call_soon(self._take, pending, judgement, gathered.evidence)

    def _take_whole(self, pending: PendingRequest, judgement: Judgement, whole: asyncio.Future[Evidence]) -> None:
        self._awaited.discard(whole)
        if whole.cancelled():
            return
        if error := whole.exception():
            _log.error("internal error; please report it", exc_info=error)
        else:
            self._take(pending, judgement, whole.result())

    def _take(self, pending: PendingRequest, judgement: Judgement, evidence: Evidence) -> None:
        lists = decisive_lists(evidence, pending.rules.thresholds)
        for check, name in lists:
            self._store.add_list_count(pending.now, list_kind(check, ListEvent.ALONE), name)
        if lists and judgement.status is Status.GREYLISTED:
            deferring = [each for each in lists if each[0] is not Check.DNSWL]
            cause = cause_with_lists(judgement.cause, deferring)
            self._store.record_later(pending.sighting(judgement.status, cause=cause))

    def close(self) -> None:
        """End the queries."""
        for whole in list(self._awaited):
            whole.cancel()
