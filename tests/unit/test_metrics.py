"""Counters that requests increment."""

import pytest

from bley.core.reasons import Reason
from bley.metrics import REGISTRY, count, observe_answer


def _value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0


def test_decisions_are_counted_by_what_became_of_them_and_why() -> None:
    labels = {"action": "greylist", "reason": "helo"}
    before = _value("bley_decisions_total", **labels)
    count("greylist", Reason.HELO)
    count("greylist", Reason.HELO, 5)
    assert _value("bley_decisions_total", **labels) == before + 6


@pytest.mark.parametrize(
    ("reason", "path"),
    [
        (Reason.KNOWN, "store"),
        (Reason.CLIENT_BAD, "client"),
        (Reason.HELO, "checks"),
        (Reason.STORE_ERROR, "failed"),
        pytest.param(Reason.EXEMPT_SENDER, "checks", id="by an entry that needs SPF"),
    ],
)
def test_an_answer_s_time_is_that_of_what_had_to_be_asked(reason: Reason, path: str) -> None:
    name = "bley_answer_seconds_sum"
    before = _value(name, path=path)
    observe_answer(reason, 0.25)
    assert _value(name, path=path) == pytest.approx(before + 0.25)
