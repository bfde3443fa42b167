"""Each word can be told from the others."""

from itertools import combinations

from bley.commands.graph.style import AT_ONCE, DEFERRED, EARLY, WAITED, look_of
from bley.core.findings import REASON_OF, FindingKind
from bley.core.reasons import Reason

FOUND = [*FindingKind, "dnsbl", "dnswl"]
DEFERRING = [*REASON_OF.values(), Reason.EARLY, Reason.CLIENT_BAD, Reason.DNSBL, Reason.STORE_ERROR]


def test_no_two_words_of_one_chart_look_the_same() -> None:
    """A finding that is new needs a place in the palette."""
    for words in (FOUND, DEFERRING):
        looks = {word: look_of(word) for word in [*words, "of a later version"]}
        assert not [pair for pair in combinations(looks, 2) if looks[pair[0]] == looks[pair[1]]]
    assert len({AT_ONCE, WAITED, DEFERRED, EARLY}) == 4


def test_a_finding_looks_as_the_reason_it_leads_to() -> None:
    assert look_of("helo-mismatch") == look_of("helo")
    assert look_of("client-looks-dynamic") == look_of("dynamic")
    assert look_of("spf-fail") == look_of("spf")
    assert look_of("early") == EARLY
