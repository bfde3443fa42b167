"""Whether a DNS list can be believed: what a self-test finds, and what answers to mail tell between two tests."""

from datetime import timedelta

import pytest

from bley.core.dnslists.health import (
    WELL,
    Diagnosis,
    HealthNews,
    ListFault,
    ListHealth,
    ListState,
    VersionHealth,
    diagnose,
    diagnose_answer,
)
from bley.core.dnslists.known import KnownList, find_known_list
from bley.core.dnslists.lists import Answer, Meaning, interpret, parse_dns_lists
from tests.fakes import NOON

FACTS = KnownList(zone="bl.example")
DEAD = KnownList(zone="bl.example", instead="zen.spamhaus.org", remedy="ask its operator")
ENTRY, NO_ENTRY = "127.0.0.2", "127.0.0.1"
UNFORESEEN = "198.18.7.3"
LATER = NOON + timedelta(hours=1)

LISTED, CLEAR = Answer(Meaning.LISTED), Answer(Meaning.CLEAR)
PARKED = Answer(Meaning.PARKED, why="192.0.2.1, which is no return code")
REFUSED = Answer(Meaning.REFUSED, why="127.255.255.254: you may not ask")
FAILED = Answer(Meaning.FAILED, why="SERVFAIL")
SILENT = Answer(Meaning.SILENT, why="no answer in time")

ILL = Diagnosis(ListFault.EMPTIED, "it is empty", "remove it")


@pytest.mark.parametrize(
    ("entry", "clear", "fault"),
    [
        pytest.param(LISTED, CLEAR, None, id="well"),
        pytest.param(LISTED, None, None, id="well, as far as can be told with one test entry"),
        pytest.param(None, CLEAR, None, id="well, as far as can be told with the other"),
        pytest.param(None, None, None, id="well, as far as can be told with none"),
        pytest.param(CLEAR, CLEAR, ListFault.EMPTIED, id="emptied"),
        pytest.param(CLEAR, None, ListFault.EMPTIED, id="emptied, one test entry"),
        pytest.param(LISTED, LISTED, ListFault.LISTS_ALL, id="lists all"),
        pytest.param(None, LISTED, ListFault.LISTS_ALL, id="lists all, one test entry"),
        pytest.param(CLEAR, LISTED, ListFault.LISTS_ALL, id="the wrong way round"),
        pytest.param(PARKED, PARKED, ListFault.PARKED, id="parked"),
        pytest.param(REFUSED, REFUSED, ListFault.REFUSED, id="refuses"),
        pytest.param(FAILED, FAILED, ListFault.FAILED, id="fails"),
        pytest.param(SILENT, SILENT, ListFault.SILENT, id="silent"),
        pytest.param(LISTED, REFUSED, ListFault.REFUSED, id="refuses once"),
        pytest.param(REFUSED, CLEAR, ListFault.REFUSED, id="refuses the other time"),
        pytest.param(LISTED, SILENT, ListFault.SILENT, id="silent once"),
        pytest.param(REFUSED, None, ListFault.REFUSED, id="refuses, one test entry"),
        pytest.param(REFUSED, PARKED, ListFault.PARKED, id="parked before refused"),
        pytest.param(FAILED, REFUSED, ListFault.REFUSED, id="refused before failed"),
        pytest.param(SILENT, FAILED, ListFault.FAILED, id="failed before silent"),
        pytest.param(SILENT, LISTED, ListFault.SILENT, id="silent before lists all"),
        pytest.param(CLEAR, SILENT, ListFault.SILENT, id="silent before emptied"),
    ],
)
def test_fault(entry: Answer | None, clear: Answer | None, fault: ListFault | None) -> None:
    """Every way in which a list dies; of several, the one that tells most."""
    diagnosis = diagnose(FACTS, (ENTRY, entry) if entry else None, (NO_ENTRY, clear) if clear else None, None)
    assert diagnosis.fault is fault


def test_well() -> None:
    """There is nothing to tell."""
    assert diagnose(DEAD, (ENTRY, LISTED), (NO_ENTRY, CLEAR), (UNFORESEEN, CLEAR)) == WELL == Diagnosis(None, "", "")


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (CLEAR, None),
        (LISTED, None),
        (PARKED, ListFault.PARKED),
        (REFUSED, ListFault.REFUSED),
        (FAILED, ListFault.FAILED),
        (SILENT, ListFault.SILENT),
    ],
)
def test_an_address_that_nobody_could_foresee_may_be_listed_or_not(answer: Answer, fault: ListFault | None) -> None:
    """But it must be answered: the test entries may come from a cache long after the list has died."""
    assert diagnose(FACTS, (ENTRY, LISTED), (NO_ENTRY, CLEAR), (UNFORESEEN, answer)).fault is fault


@pytest.mark.parametrize(
    ("entry", "clear", "what", "remedy"),
    [
        (
            CLEAR,
            CLEAR,
            "it does not list its test entry 127.0.0.2 (RFC 5782 5): it is empty, or no list any more",
            "remove it from the settings; if it is your own list, add this entry to it",
        ),
        (
            LISTED,
            LISTED,
            "it lists 127.0.0.1, which must not be listed (RFC 5782 5): it lists every address",
            "remove it from the settings",
        ),
        (LISTED, PARKED, "it answers 192.0.2.1, which is no return code", "remove it from the settings"),
        (
            REFUSED,
            CLEAR,
            "it refuses our queries (127.255.255.254: you may not ask)",
            "use a resolver of your own",
        ),
        (FAILED, SILENT, "it answers SERVFAIL", "if that lasts, remove it from the settings"),
        (SILENT, CLEAR, "it does not answer in time", "if that lasts, remove it from the settings"),
    ],
)
def test_words_for_the_operator(entry: Answer, clear: Answer, what: str, remedy: str) -> None:
    diagnosis = diagnose(FACTS, (ENTRY, entry), (NO_ENTRY, clear), None)
    assert (diagnosis.what, diagnosis.remedy) == (what, remedy)


@pytest.mark.parametrize(
    ("answer", "remedy"),
    [
        (PARKED, "remove it from the settings and use zen.spamhaus.org"),
        (REFUSED, "ask its operator"),
        (FAILED, "if that lasts, remove it from the settings and use zen.spamhaus.org"),
        (SILENT, "if that lasts, remove it from the settings and use zen.spamhaus.org"),
    ],
)
def test_remedy_is_the_list_s_own_where_it_is_known(answer: Answer, remedy: str) -> None:
    assert diagnose_answer(DEAD, answer).remedy == remedy
    assert diagnose_answer(DEAD, answer) == diagnose(DEAD, (ENTRY, LISTED), (NO_ENTRY, answer), None)


def test_list_with_an_address_that_filters_answer_is_not_to_be_removed_at_once() -> None:
    answer = interpret(DEAD, ["0.0.0.0"])
    assert diagnose_answer(DEAD, answer).remedy == (
        "use a resolver of your own; if that lasts, remove it from the settings and use zen.spamhaus.org"
    )


def test_test_entry_of_the_list_is_named() -> None:
    assert "its test entry ::2 " in diagnose(FACTS, ("::2", CLEAR), None, None).what


@pytest.mark.parametrize("state", [ListState.UNTESTED, ListState.NOT_SERVED, ListState.WELL])
def test_list_that_fails_its_test_is_ill(state: ListState) -> None:
    """From then on, with what is wrong."""
    health = VersionHealth(state, NOON)
    assert health.take(ILL, LATER) is True
    assert (health.state, health.since, health.diagnosis) == (ListState.ILL, LATER, ILL)


def test_list_that_passes_its_test_is_well() -> None:
    health = VersionHealth(ListState.UNTESTED, NOON)
    assert (health.state, health.since, health.diagnosis) == (ListState.UNTESTED, NOON, WELL)
    assert health.take(WELL, LATER) is True
    assert (health.state, health.since, health.diagnosis) == (ListState.WELL, LATER, WELL)


def test_ill_list_that_passes_its_test_is_taken_back() -> None:
    health = VersionHealth(ListState.UNTESTED, NOON)
    health.take(ILL, NOON)
    assert health.take(WELL, LATER) is True
    assert (health.state, health.since, health.diagnosis) == (ListState.WELL, LATER, WELL)


@pytest.mark.parametrize("diagnosis", [WELL, ILL])
def test_same_diagnosis_is_no_news(diagnosis: Diagnosis) -> None:
    """It stands since the first one: that is told once, not each hour."""
    health = VersionHealth(ListState.UNTESTED, NOON)
    health.take(diagnosis, NOON)
    assert health.take(diagnosis, LATER) is False
    assert health.since == NOON


def test_other_fault_is_news_of_the_same_illness() -> None:
    """There may be another remedy; but the list is ill since the first fault."""
    health = VersionHealth(ListState.UNTESTED, NOON)
    health.take(ILL, NOON)
    other = Diagnosis(ListFault.REFUSED, "it refuses", "ask")
    assert health.take(other, LATER) is True
    assert (health.state, health.since, health.diagnosis) == (ListState.ILL, NOON, other)


def test_same_fault_in_other_words_is_no_news() -> None:
    """What is shown is the latest."""
    health = VersionHealth(ListState.UNTESTED, NOON)
    health.take(ILL, NOON)
    other = Diagnosis(ListFault.EMPTIED, "it is still empty", "remove it")
    assert health.take(other, LATER) is False
    assert health.diagnosis == other


def test_list_without_addresses_of_the_version() -> None:
    """It is neither well nor ill, since the first time that this was found."""
    health = VersionHealth(ListState.UNTESTED, NOON - timedelta(hours=1))
    health.take(ILL, NOON - timedelta(hours=1))
    health.not_served(NOON)
    assert (health.state, health.since, health.diagnosis) == (ListState.NOT_SERVED, NOON, WELL)
    health.not_served(LATER)
    assert health.since == NOON


def _doubts(*answers: Answer) -> list[int]:
    """After which answers, counted from 1, a list that was well should be tested."""
    health = VersionHealth(ListState.WELL, NOON)
    return [number for number, answer in enumerate(answers, start=1) if health.doubts(answer)]


@pytest.mark.parametrize("answer", [REFUSED, PARKED])
def test_one_refusal_or_parked_answer_is_enough(answer: Answer) -> None:
    assert _doubts(LISTED, answer, CLEAR, answer) == [2, 4]


@pytest.mark.parametrize("answer", [SILENT, FAILED])
def test_three_answers_missing_raise_a_doubt(answer: Answer) -> None:
    """And three more the next one: while it is tested, not every mail asks for a test."""
    assert _doubts(*[answer] * 6) == [3, 6]


@pytest.mark.parametrize(
    ("answers", "doubts"),
    [
        pytest.param([SILENT, FAILED, SILENT], [3], id="failures of all kinds"),
        pytest.param([SILENT, SILENT, CLEAR, SILENT, SILENT], [5], id="one answer takes back one failure"),
        pytest.param([SILENT, LISTED] * 20, [], id="every other one answered"),
        pytest.param([CLEAR] * 20 + [SILENT] * 3, [23], id="good answers are not saved up"),
        pytest.param([SILENT, SILENT, CLEAR] * 3, [5], id="more missing than answered"),
    ],
)
def test_failures_count_against_answers(answers: list[Answer], doubts: list[int]) -> None:
    assert _doubts(*answers) == doubts


@pytest.mark.parametrize(
    ("answers", "doubts"),
    [
        pytest.param([LISTED] * 61, [30, 60], id="in a row"),
        pytest.param([LISTED] * 29 + [CLEAR] + [LISTED] * 29, [], id="interrupted by a client that is clear"),
        pytest.param([LISTED] * 29 + [SILENT] + [LISTED] * 29, [], id="interrupted by silence"),
    ],
)
def test_thirty_clients_listed_in_a_row_raise_a_doubt(answers: list[Answer], doubts: list[int]) -> None:
    """Does it list everybody?"""
    assert _doubts(*answers) == doubts


@pytest.mark.parametrize(("answer", "so_far"), [(SILENT, 2), (LISTED, 29)])
def test_self_test_ends_all_doubts(answer: Answer, so_far: int) -> None:
    health = VersionHealth(ListState.WELL, NOON)
    assert not any(health.doubts(answer) for _ in range(so_far))
    health.take(WELL, LATER)
    assert not any(health.doubts(answer) for _ in range(so_far))
    assert health.doubts(answer)


def test_a_list_that_is_known_to_be_alive_is_not_called_empty_before_the_resolver_is_looked_at() -> None:
    """Resolvers that filter, and public ones, are told of no listing at all."""
    zen = find_known_list("zen.spamhaus.org")
    assert diagnose(zen, (ENTRY, CLEAR), (NO_ENTRY, CLEAR), None).remedy.startswith("use a resolver of your own")


def test_now_silent_now_failing_is_one_illness() -> None:
    """A resolver says now this, now that of a list whose servers are dead; the operator is told once."""
    health = VersionHealth(ListState.WELL, NOON)
    assert health.take(diagnose_answer(FACTS, SILENT), NOON)
    assert not health.take(diagnose_answer(FACTS, FAILED), LATER)
    assert not health.take(diagnose_answer(FACTS, SILENT), LATER)
    assert health.take(diagnose_answer(FACTS, PARKED), LATER)


class TestListHealth:
    """Both IP versions of a list, its self-tests and its answers."""

    @staticmethod
    def _well() -> ListHealth:
        (dns_list,) = parse_dns_lists("bl.example")
        health = ListHealth(dns_list, NOON)
        assert health.end_test({4: WELL}, NOON) == []
        return health

    def test_list_that_answers_no_client_is_set_aside_until_its_test_and_after_it(self) -> None:
        """Its self-test passes since the resolver has the test entries in its cache."""
        health = self._well()
        assert [health.doubts(4, FAILED) for _ in range(3)] == [False, False, True]
        assert health.unasked_answer(4) == Answer(Meaning.SET_ASIDE, why="until it is tested: SERVFAIL")
        (news,) = health.end_test({4: WELL}, LATER)
        assert news.text.startswith("bl.example is set aside: it answers SERVFAIL; ")
        assert not news.is_recovery
        assert health.is_ill

    def test_test_without_a_result_ends_the_doubt(self) -> None:
        health = self._well()
        assert any(health.doubts(4, SILENT) for _ in range(3))
        assert health.end_test(None, LATER) == []
        assert health.unasked_answer(4) is None

    def test_recovery_is_news_with_its_duration(self) -> None:
        health = self._well()
        assert health.take(4, ILL, NOON)
        assert health.end_test({4: WELL}, LATER) == [
            HealthNews(f"bl.example is well again, after {LATER - NOON}", is_recovery=True)
        ]

    def test_answers_of_an_ill_list_raise_no_doubt(self) -> None:
        health = self._well()
        health.take(4, ILL, NOON)
        assert not any(health.doubts(4, REFUSED) for _ in range(10))

    def test_last_error_is_that_of_the_last_fault(self) -> None:
        health = self._well()
        health.take(4, ILL, LATER)
        assert health.last_error == (LATER, ILL.what)
