"""DNS lists cannot lie: what means "you may not ask" is never a listing, whatever the operator's filter says."""

from ipaddress import IPv4Address

from hypothesis import assume, example, given
from hypothesis import strategies as st

from bley.core.dnslists import DnsList, parse_dns_lists, question
from bley.core.mail import Address

octets = st.integers(min_value=0, max_value=255)
ranges = st.tuples(octets, octets).map(lambda pair: f"{min(pair)}..{max(pair)}")
octet_filters = octets.map(str) | st.lists(octets.map(str) | ranges, min_size=1, max_size=3).map(
    lambda parts: f"[{';'.join(parts)}]"
)
filters = st.just("[0..255].[0..255].[0..255].[0..255]") | st.tuples(*[octet_filters] * 4).map(".".join)
zones = st.sampled_from(["bl.example", "list.dnswl.org", "zen.spamhaus.org"])
weights = st.sampled_from(["", "*3", "*-1"])
lists = st.builds(
    lambda zone, codes, weight: f"{zone}{'=' if codes else ''}{codes}{weight}", zones, st.just("") | filters, weights
)

refusals = st.just("127.0.0.1") | octets.map("127.255.255.{}".format)
outside = st.ip_addresses(v=4).filter(lambda address: not address.is_loopback).map(str)


def _list(text: str) -> DnsList:
    (dns_list,) = parse_dns_lists(text)
    return dns_list


@given(lists, st.lists(refusals | outside, min_size=1, max_size=3))
def test_refusal_is_never_a_listing(text: str, codes: list[str]) -> None:
    answer = _list(text).understand(codes)
    assert not answer.listed
    assert answer.refused


@given(lists, st.lists(refusals | outside | st.ip_addresses(v=4, network="127.0.0.0/8").map(str), max_size=4))
def test_answer_is_one_of_three(text: str, codes: list[str]) -> None:
    """Listed, refused or neither; never both, and nothing of an empty answer."""
    answer = _list(text).understand(codes)
    assert not (answer.listed and answer.refused)
    assert codes or not (answer.listed or answer.refused)
    assert answer.codes == tuple(codes)


@given(filters, st.ip_addresses(v=4, network="127.0.0.0/9"))
def test_filter_only_takes_away(codes: str, answer: IPv4Address) -> None:
    """What a filter counts, the list without filter counts too."""
    assume(str(answer) != "127.0.0.1")
    assert _list("bl.example").understand([str(answer)]).listed
    if _list(f"bl.example={codes}").understand([str(answer)]).listed:
        wanted = [_numbers(part) for part in _split(codes)]
        assert all(octet in numbers for octet, numbers in zip(answer.packed, wanted, strict=True))


def _split(codes: str) -> list[str]:
    """The four octets of a filter; the dots of a range are two."""
    return codes.replace("..", "-").split(".")


def _numbers(part: str) -> set[int]:
    numbers: set[int] = set()
    for piece in part.strip("[]").split(";"):
        first, _, last = piece.partition("-")
        numbers.update(range(int(first), int(last or first) + 1))
    return numbers


@given(st.text() | st.text(alphabet="abz.=*[];,0127- ") | st.lists(lists).map(", ".join))
@example("bl.example=127.0.0.2*")
def test_any_text_is_lists_or_a_value_error(text: str) -> None:
    """And what can be read is shown in a form that reads the same."""
    try:
        dns_lists = parse_dns_lists(text)
    except ValueError:
        return
    assert parse_dns_lists(", ".join(map(str, dns_lists))) == dns_lists


@given(st.ip_addresses())
def test_question_names_the_address_backwards(address: Address) -> None:
    """An octet or a nibble a label, so that no two addresses share a question."""
    labels = question(address, "bl.example").removesuffix(".bl.example").split(".")
    if address.version == 4:
        assert bytes(map(int, reversed(labels))) == address.packed
    else:
        assert bytes.fromhex("".join(reversed(labels))) == address.packed
