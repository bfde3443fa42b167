"""The logs of mail servers (trial.logs): read in time; lines that strangers write in part give usable facts or none."""

from pathlib import Path

from bley.core.mail import parse_address
from bley.trial.facts import ATTEMPT, HAM
from bley.trial.logs import Log
from tests.fuzz.fields import REPEAT, Fields
from tests.fuzz.harness import Harness
from tests.step_time import in_time

_KINDS = ("postfix", "exim", "greylister")
_LATEST = 1_800_000_000
_TIME = b"2026-11-06 10:00:00 +0100 mx "
_DATA = Path(__file__).parents[1] / "data" / "logs"


def check(data: bytes) -> None:
    """Check lines as a log of each kind."""
    lines = Fields(data).octets().splitlines()[:50]
    for kind in _KINDS:
        log = Log(kind, HAM, _LATEST)
        for line in lines:
            dated = (_TIME.replace(b"mx ", b"") if kind == "exim" else _TIME) + line
            for found in in_time(lambda log=log, dated=dated: list(log.read(dated, "place", _LATEST))):  # type: ignore[misc]
                if not isinstance(found, str):
                    assert parse_address(found.client_address), "no client"
                    assert found.label in (HAM, ATTEMPT), "another label"
                    assert "\n" not in "".join(map(str, found)), "a line end in a fact"


HARNESS = Harness(
    check,
    seeds=[file.read_bytes() for file in sorted(_DATA.glob("*.log"))],
    words=[b"; from=<", b"> to=<", b" helo=<", b"decided action=", b"<client=", b" H=", b" F=<", b" <= ", REPEAT],
)
