"""Does the client's verified name look like an access line's?"""

from ipaddress import ip_address

from bley.checks.dynamic import check_dynamic
from bley.core.evidence import Finding
from bley.core.findings import FindingKind


def test_score_and_detail() -> None:
    somewhere = ip_address("203.0.113.99")
    line = Finding(1, "x.dsl.example.net has 'dsl' in it", kind=FindingKind.CLIENT_LOOKS_DYNAMIC)
    assert check_dynamic("x.dsl.example.net", somewhere) == line
    assert check_dynamic("mx.example.net", somewhere) == Finding(0, "mx.example.net does not look dynamic")
    assert check_dynamic("", somewhere) == Finding(0, "no name, so none that looks dynamic")
