"""Caches the latest judgements of clients (step 8).

A judgement by domain lists is about the sender, the HELO name and the client together. So it holds for mail with the
same domains only, and so does a pass, if another domain could have been listed. Other judgements are the client's.
"""

from datetime import datetime

from bley.core.caches import ExpiringCache
from bley.core.findings import AnyReason
from bley.core.reasons import OF_DOMAINS, Reason
from bley.service.pending_request import PendingRequest

__all__ = ["ClientJudgements"]


class ClientJudgements(ExpiringCache[str, str]):
    """The cause for which each client was deferred; empty if it was judged good, or waited."""

    def cause(self, pending: PendingRequest, now: datetime) -> str | None:
        """Return the cause of the latest judgement that holds for this request; None if there is none."""
        if pending.rules.settings.domain_lists:
            cause = self.get(pending.judged_with_domains, now)
            if cause is not None:
                return cause
        return self.get(pending.judged_as, now)

    def add(self, pending: PendingRequest, reason: AnyReason, cause: str, now: datetime) -> None:
        """Cache the judgement of a request."""
        key = pending.judged_as
        if pending.rules.settings.domain_lists and (reason in OF_DOMAINS or not (cause or reason is Reason.TRUSTED)):
            key = pending.judged_with_domains
        self.put(key, cause, now)
