"""The transcripts in README.md and docs/commands.md run."""

import re
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bley.core.decision import Decision, DecisionEntry
from bley.core.dnslists.lists import Answer, ListAnswer, Meaning, parse_dns_lists
from bley.core.evidence import Evidence, Finding
from bley.core.findings import Check, FindingKind
from bley.core.greylist import Record, Standing, Status
from bley.core.mail import Request, Triplet
from bley.core.reasons import Reason
from bley.settings.database import Database, parse_database
from bley.store.opening import open_engine
from tests.dns_server import DnsServer
from tests.integration.running_bley import Bley

PROJECT = Path(__file__).parents[2]
TEXT = "".join(PROJECT.joinpath(name).read_text() for name in ("README.md", "docs/commands.md"))


def transcripts() -> list[tuple[list[str], str]]:
    """Return the words of each `$ bley …` in a console block, and what it prints."""
    blocks = re.findall(r"```console\n(.*?)```", TEXT, re.DOTALL)
    commands = [part for block in blocks for part in re.split(r"^\$ ", block, flags=re.MULTILINE) if part]
    return [(shlex.split(line), printed) for line, printed in (command.split("\n", 1) for command in commands)]


NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
TRIPLET = Triplet("192.0.2.0/24", "a@example.com", "b@example.org")
FIRST = Request("RCPT", "", "192.0.2.1", "unknown", "friend", TRIPLET.sender, TRIPLET.recipient, "5a2b.63f1c2a8.1234.0")


def _not_listed(setting: str) -> Finding:
    clear = Answer(Meaning.CLEAR)
    return Finding(0, "", tuple(ListAnswer(dns_list, clear) for dns_list in parse_dns_lists(setting)))


async def _fill(place: Database) -> None:
    """Store the decisions on a mail that was retried after seven minutes."""
    evidence: Evidence = {
        Check.HELO: Finding(2, "friend is not the client's name, which is unknown"),
        Check.DYNAMIC: Finding(0, "no name, so none that looks dynamic"),
        Check.SENDER_IS_RECIPIENT: Finding(0, "sender is another"),
        Check.DNSBL: _not_listed("zen.spamhaus.org, bl.spamcop.net"),
        Check.DNSWL: _not_listed("list.dnswl.org"),
        FindingKind.CLIENT_HAS_NO_NAME: Finding(1, "192.0.2.1 has no PTR record"),
        FindingKind.HELO_NOT_FQDN: Finding(1, "friend has no domain"),
    }
    deferral = Decision(FIRST, Reason.HELO, True, TRIPLET, None, Standing.NEW, evidence, timedelta(minutes=5))
    record, again = Record(Status.GREYLISTED, NOON, NOON), FIRST._replace(instance="1")
    waited = Decision(again, Reason.WAITED, False, TRIPLET, record, Standing.WAITED, delayed=timedelta(minutes=7))
    engine = open_engine(place)
    await engine.prepare()
    kept = [
        DecisionEntry(NOON, "greylist", deferral, *TRIPLET[1:]),
        DecisionEntry(NOON + timedelta(minutes=7), "pass", waited, *TRIPLET[1:]),
    ]
    await engine.add_decisions(kept, {})
    await engine.close()


async def test_the_transcript_of_why(tmp_path: Path) -> None:
    """The transcript is exact but for the settings file, which needs no option there."""
    await _fill(parse_database(f"sqlite:///{tmp_path}/bley.db"))
    ((words, printed),) = [(words, printed) for words, printed in transcripts() if words[1] == "why"]
    bley = Bley(tmp_path)
    assert bley.run(*words[1:]).replace(f" -c {bley.file}", "").replace(str(tmp_path), "/etc/bley") == printed


def test_the_other_transcripts_run(tmp_path: Path) -> None:
    """With the default lists, which list no client, the transcripts are exact but for the folder of the store."""
    assert len(transcripts()) == 4
    listed = ("zen.spamhaus.org", "bl.spamcop.net", "list.dnswl.org")
    with DnsServer({f"2.0.0.127.{zone}": {"A": ["127.0.0.2"]} for zone in listed}) as dns:
        for number, ((program, *words), printed) in enumerate(transcripts()):
            if words[0] == "why":
                continue
            folder = tmp_path / str(number)
            folder.mkdir()
            bley = Bley(folder, resolver=dns.address, check_names="1", use_spf="1")
            bley.file.write_text(re.sub(r"^dns[bw]ls.*\n", "", bley.file.read_text(), flags=re.MULTILINE))
            with bley:
                assert Path(program).name == "bley"
                assert bley.run(*words).replace(str(folder), "/var/lib/bley") == printed
