"""The stories of mails, as the history of a store has them."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from bley.core.history.attempts import (
    Attempts,
    AttemptsQuery,
    attempts_query,
    possible_triplets,
    united_record,
    wildcard_triplets,
)
from bley.core.history.exempted import COUNTED, ExemptedMail, Exemption
from bley.core.history.search import StoredDecision
from bley.core.history.story import Story, build_story
from bley.core.mail import Triplet
from bley.settings.file import Configuration
from bley.store.history import History

__all__ = ["StoredStory", "count_exempted", "read_stories"]


class StoredStory(NamedTuple):
    """The story of a decision's mail, and the triplets under which the store has records of it."""

    story: Story
    stored_under: Sequence[Triplet]


async def read_stories(
    history: History, configuration: Configuration, decisions: Sequence[StoredDecision], now: datetime
) -> list[StoredStory]:
    """Return the story of each decision, by one query for all records, and one for each mail. Raises StoreError."""
    rules, log_days = configuration.triplet_rules, configuration.settings.log_days
    own = [possible_triplets(each, rules) for each in decisions]
    wildcards = [wildcard_triplets(each, rules) for each in decisions]
    found = await history.find(list(dict.fromkeys(triplet for some in (*own, *wildcards) for triplet in some)))
    read: dict[AttemptsQuery, Attempts] = {}
    stories = []
    for decision, triplets, others in zip(decisions, own, wildcards, strict=True):
        settings = configuration.settings_of(decision.details.get("section", ""))
        records = found.of_any(triplets).records
        record = united_record(records.values())
        query = attempts_query(decision, [*triplets, *records], record, now, log_days, settings.cache_valid)
        if query not in read:
            read[query] = await history.attempts(query)
        story = build_story(decision, read[query], record, settings.timing, now)
        stories.append(StoredStory(story, list(found.of_any([*triplets, *others]).records)))
    return stories


async def count_exempted(
    history: History,
    configuration: Configuration,
    exemptions: Sequence[Exemption],
    now: datetime,
    seconds: float,
) -> Mapping[Exemption, ExemptedMail]:
    """Return the deferred mail that the entries would have exempted, by one query. Raises StoreError."""
    if not exemptions:
        return {}
    settings = configuration.settings
    counted = min(COUNTED, settings.log_days)
    counts = await history.count_exempted(exemptions, now - counted, seconds)
    days, observes = max(round(counted / timedelta(days=1)), 1), settings.mode == "observe"
    return {exemption: ExemptedMail(count, days, observes) for exemption, count in zip(exemptions, counts, strict=True)}
