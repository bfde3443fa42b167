"""What bley raises on purpose."""

import pytest

from bley.core.errors import BleyError, Fault, FaultList, ProtocolError, ResolverError, SettingsError, StoreError


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (Fault("bley.conf", 12, "unknown key"), "bley.conf:12: unknown key"),
        (Fault("bley.conf", 0, "is not UTF-8"), "bley.conf: is not UTF-8"),
    ],
)
def test_fault_says_where(fault: Fault, text: str) -> None:
    """In the form that editors jump to; line 0 is the whole file."""
    assert str(fault) == text


def test_settings_error_names_every_fault() -> None:
    faults = [Fault("bley.conf", 3, "wrong"), Fault("list", 1, "wrong too")]
    error = SettingsError(faults)
    assert error.faults == tuple(faults)
    assert str(error) == "bley.conf:3: wrong\nlist:1: wrong too"


def test_resolver_error_names_the_question() -> None:
    error = ResolverError("2.0.0.127.bl.example", "A", "no answer in time")
    assert (error.name, error.rrtype, error.why) == ("2.0.0.127.bl.example", "A", "no answer in time")
    assert str(error) == "2.0.0.127.bl.example A: no answer in time"


@pytest.mark.parametrize("error", [ProtocolError, ResolverError, SettingsError, StoreError])
def test_all_errors_are_bleys(error: type[Exception]) -> None:
    assert issubclass(error, BleyError)


def _listed(*kinds: str, file: str = "list") -> list[str]:
    """Return what is shown of faults of these kinds, one in each line."""
    faults = FaultList()
    for line, kind in enumerate(kinds, start=1):
        faults.add(Fault(file, line, f"is {kind}"), kind)
    with pytest.raises(SettingsError) as caught:
        faults.check()
    return str(caught.value).split("\n")


def test_few_faults_are_all_shown() -> None:
    assert _listed(*"aabba" * 2) == [f"list:{line}: is {kind}" for line, kind in enumerate("aabba" * 2, start=1)]


def test_many_faults_of_one_kind() -> None:
    shown = _listed(*"a" * 2500)
    assert shown == [*(f"list:{line}: is a" for line in range(1, 11)), "list:10: and 2,490 more of this kind"]


def test_many_faults_of_several_kinds() -> None:
    """Each kind is shown, however late it comes."""
    shown = _listed(*"a" * 2500, "b", *"c" * 7)
    assert shown == [
        *(f"list:{line}: is a" for line in range(1, 6)),
        "list:5: and 2,495 more of this kind",
        "list:2501: is b",
        *(f"list:{line}: is c" for line in range(2502, 2506)),
        "list:2505: and 3 more of this kind",
    ]


def test_more_kinds_than_are_shown() -> None:
    shown = _listed(*map(str, range(13)))
    assert shown == [*(f"list:{line}: is {line - 1}" for line in range(1, 11)), "list: and 3 more of other kinds"]


def test_each_file_has_its_own_limit() -> None:
    faults = FaultList()
    for line in range(1, 12):
        for file in ("a", "b"):
            faults.add(Fault(file, line, f"wrong {line}"), "wrong")
    with pytest.raises(SettingsError) as caught:
        faults.check()
    assert [(fault.file, fault.line) for fault in caught.value.faults] == [
        (file, line) for file in ("a", "b") for line in (*range(1, 11), 10)
    ]


def test_no_fault_is_no_error() -> None:
    FaultList().check()
