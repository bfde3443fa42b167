"""What bley raises on purpose."""

import pytest

from bley.core.errors import BleyError, Fault, ProtocolError, ResolverError, SettingsError, StoreError


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
