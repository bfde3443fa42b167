"""Each word can be told from the others."""

from itertools import combinations

from bley.commands.graph.style import AT_ONCE, DEFERRED, EARLY, WAITED, style_of
from bley.core.findings import REASON_OF, FindingKind
from bley.core.reasons import OF_DOMAINS, Reason

FOUND = [*FindingKind, "dnsbl", "domain-list", "dnswl"]
DEFERRING = [*REASON_OF.values(), Reason.EARLY, Reason.CLIENT_BAD, Reason.DNSBL, *OF_DOMAINS, Reason.STORE_ERROR]


def test_no_two_words_of_one_chart_look_the_same() -> None:
    """A finding that is new needs a place in the palette."""
    for words in (FOUND, DEFERRING):
        styles = {word: style_of(word) for word in [*words, "of a later version"]}
        assert not [pair for pair in combinations(styles, 2) if styles[pair[0]] == styles[pair[1]]]
    assert len({AT_ONCE, WAITED, DEFERRED, EARLY}) == 4


def test_a_finding_has_the_style_of_its_reason() -> None:
    assert style_of("helo-mismatch") == style_of("helo")
    assert style_of("client-looks-dynamic") == style_of("dynamic")
    assert style_of("spf-fail") == style_of("spf")
    assert style_of("early") == EARLY
