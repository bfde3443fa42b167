"""A stored decision, judged again: as the checks would judge it by those settings, or with the fact that is missing."""

import asyncio
import random
from collections.abc import Sequence
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from bley.checks.dns_lists import ConfiguredList
from bley.checks.gather import Checks
from bley.checks.helo import OwnIdentity
from bley.checks.lists.watch import ListWatch
from bley.commands.replay.facts import list_key
from bley.commands.replay.judge import NAMES, SPF, NewJudge, NewJudgement, wait_left
from bley.core.decision import Decision, DecisionEntry
from bley.core.dnslists.lists import DnsList
from bley.core.evidence import Finding, found
from bley.core.findings import FindingKind
from bley.core.greylist import Record, Standing, Status
from bley.core.history.search import StoredDecision
from bley.core.mail import Address, Request, Triplet
from bley.core.policy import Judgement, judge
from bley.core.reasons import Reason
from bley.settings.file import Configuration, load
from bley.settings.settings import Settings
from bley.store.rows import decision_row, stored_decision
from tests.fakes import NOON, FakeClock, FakeResolver, Zone

pytestmark = pytest.mark.leaps

HOST = "mx.example.org"
TRIPLET = Triplet("192.0.2.0/24", "a@example.com", "b@example.org")
REQUEST = Request(
    "RCPT", "", "192.0.2.1", "unknown", "friend", "a@example.com", "b@example.org", instance="4.5", queue_id=""
)
LISTED = ["127.0.0.2"]
_SPF = {
    "pass": Finding(0, "pass: (example.com)"),
    "fail": found(FindingKind.SPF_FAIL, "fail: not permitted (example.com)"),
    "softfail": found(FindingKind.SPF_FAIL, "softfail (example.com)"),
    "neutral": found(FindingKind.SPF_NO_PASS, "neutral (example.com)"),
    "none": found(FindingKind.SPF_NO_PASS, "none: example.com has no SPF record"),
    "temperror": Finding(None, "temperror: no answer"),
}


class Spf:
    def __init__(self, word: str) -> None:
        self._word = word

    def start(self, request: Request, address: Address) -> asyncio.Future[Finding]:
        answer: asyncio.Future[Finding] = asyncio.get_running_loop().create_future()
        answer.set_result(_SPF[self._word])
        return answer


def configured(
    folder: Path, lists: dict[str, str] | None = None, /, sections: str = "", **settings: object
) -> Configuration:
    """Return the configuration of a file with these settings, and list files."""
    own = {"dnsbls": "bl.example, bl2.example=127.0.0.[2..4]*2", "dnswls": "wl.example", "privacy": "off"} | settings
    (folder / "new.conf").write_text(
        "[bley]\n" + "".join(f"{key} = {value}\n" for key, value in own.items()) + sections
    )
    for name, text in (lists or {}).items():
        (folder / name).write_text(text)
    return load(folder / "new.conf")


async def checks_of(settings: Settings, resolver: FakeResolver, spf: str) -> Checks:
    """Return the daemon's checks; all lists are well."""
    watch = ListWatch(FakeClock())
    lists = {each.key: each for some in settings.dns_lists.values() for each in some}
    names = (f"{entry}.{each.zone}" for each in lists.values() for entry in ("2.0.0.127", "test"))
    entries: Zone = {(name, "A"): LISTED for name in names}
    watch.follow([DnsList(each.zone, (), each.is_of_domains) for each in lists.values()], FakeResolver(entries))
    for _ in range(20):
        await asyncio.sleep(0)

    def queried(lists: Sequence[DnsList]) -> list[ConfiguredList]:
        return [ConfiguredList(each, watch.lists[each.key]) for each in lists]

    return Checks(
        resolver, queried(settings.dnswls), queried(settings.dnsbls), Spf(spf) if settings.use_spf else None,
        settings.thresholds, timedelta(seconds=5), settings.scores, OwnIdentity(HOST, settings.trusted_networks),
        queries_names=settings.check_names, domain_lists=queried(settings.domain_lists),
    )  # fmt: skip


def stored(decision: Decision, number: str = "1", **changes: Any) -> StoredDecision:
    """Return the decision as every store returns it."""
    entry = DecisionEntry(
        NOON, decision.outcome(observes=False), decision, decision.request.sender, decision.request.recipient
    )
    return stored_decision(number, decision_row(entry))._replace(**changes)


async def judged(
    request: Request, settings: Settings, resolver: FakeResolver, spf: str
) -> tuple[Judgement, StoredDecision]:
    """Return the daemon's judgement of a stranger, and its stored decision."""
    checks = await checks_of(settings, resolver, spf)
    gathered = await checks.gather(request, ip_address(request.client_address))
    gathered.cancel_rest()
    named, evidence, _ = gathered
    judgement = judge(evidence, settings.thresholds)
    verified = named.client_name if named != request else ""
    defers = judgement.status is Status.GREYLISTED
    decision = Decision(request, judgement.reason, defers, TRIPLET, evidence=evidence, verified_name=verified)
    return judgement, stored(decision)


def again(configuration: Configuration, decision: StoredDecision, queried: set[str] | None = None) -> NewJudgement:
    """Return the judgement of a replay."""
    names = frozenset({"bl.example", "bl2.example", "wl.example"} if queried is None else queried)
    judge_again = NewJudge(configuration, HOST, names)
    pending = judge_again.pending(decision)
    return pending if isinstance(pending, NewJudgement) else judge_again.judge(pending, decision)


def keys_of(settings: Settings) -> set[str]:
    """Return the keys of the DNS lists of these settings."""
    lists = (each for some in settings.dns_lists.values() for each in some)
    return {list_key(each.name, of_domains=each.is_of_domains) for each in lists}


def _request(chance: random.Random) -> Request:
    name = chance.choice(["unknown", "unknown", "mail.example.com", "dsl-192-0-2-1.pool.example.com"])
    helo = chance.choice(
        ["friend", "mail.example.com", "mx2.example.com", "[192.0.2.1]", "192.0.2.1", "localhost.localdomain", HOST,
         "dsl-192-0-2-1.pool.example.com", "example.org", "other.example.net", ""]
    )  # fmt: skip
    sender = chance.choice(["a@example.com", "b@example.org", ""])
    return REQUEST._replace(client_name=name, helo_name=helo, sender=sender)


def _zone(chance: random.Random) -> dict[tuple[str, str], list[Any]]:
    zone: dict[tuple[str, str], list[Any]] = {}
    for of, codes in (("bl.example", ("2", "3")), ("bl2.example", ("2", "9")), ("wl.example", ("2", "5"))):
        if chance.random() < 0.3:
            zone[f"1.2.0.192.{of}", "A"] = [f"127.0.0.{chance.choice(codes)}"]
    for of in ("dbl.example", "bl.example"):
        if chance.random() < 0.2:
            zone[f"example.{chance.choice(('com', 'org', 'net'))}.{of}", "A"] = LISTED
    if chance.random() < 0.6:
        zone["1.2.0.192.in-addr.arpa", "PTR"] = ["mail.example.com."]
    for name in ("mail.example.com", "mx2.example.com", "other.example.net"):
        if chance.random() < 0.4:
            zone[name, "A"] = ["192.0.2.1"]
    return zone


def _settings(chance: random.Random) -> dict[str, Any]:
    return {
        "dnsbl_threshold": chance.choice([1, 1, 2, 3]),
        "dnswl_threshold": chance.choice([1, 1, 2]),
        "rfc_threshold": chance.choice([1, 2, 2, 3]),
        "scores": chance.choice(
            ["default", "default", "bley2", "helo-mismatch=1", "sender-is-recipient=2, spf-no-pass=1",
             "helo-not-fqdn=0", "client-has-no-name=1, helo-resolves=2", "bley2, helo-claims-us=3"]
        ),
        "dnsbls": chance.choice(
            ["bl.example, bl2.example=127.0.0.[2..4]*2", "bl.example*2", "bl2.example", "",
             "bl.example=127.0.0.3, bl2.example*-1"]
        ),
        "dnswls": chance.choice(["wl.example", "wl.example=127.0.0.5*2", ""]),
        "domain_lists": chance.choice(["", "", "dbl.example", "bl.example=127.0.0.2*2, dbl.example"]),
        "use_spf": chance.choice([0, 1]),
        "check_names": 1,
    }  # fmt: skip


class TestByAnOracle:
    async def test_the_same_settings_change_nothing(self, tmp_path: Path) -> None:
        """For each request, each answer of the DNS, each setting: verdict and reason stay, and no fact is missing."""
        chance, seen = random.Random(5), set()
        for _ in range(20):
            configuration = configured(tmp_path, **_settings(chance))
            settings = configuration.settings
            names = keys_of(settings)
            for _ in range(25):
                request, zone, spf = _request(chance), _zone(chance), chance.choice(list(_SPF))
                judgement, decision = await judged(request, settings, FakeResolver(zone), spf)
                new = again(configuration, decision, names)
                assert (new.reason, new.defers, new.missing) == (decision.reason, decision.defers, ()), decision
                seen.add(judgement.reason)
        assert {Reason.TRUSTED, Reason.DNSBL, Reason.DOMAIN_LIST, Reason.HELO, Reason.CLEAN} < seen

    async def test_other_settings_decide_as_the_checks_would(self, tmp_path: Path) -> None:
        """Where no fact is missing, the verdict is that of new queries with the same answers. Most are known."""
        chance, known, changed = random.Random(7), 0, 0
        for _ in range(30):
            then = configured(tmp_path, **_settings(chance) | {"use_spf": 1})
            lists = {key: ", ".join(map(str, getattr(then.settings, key))) for key in then.settings.dns_lists}
            now = configured(tmp_path, **_settings(chance) | lists)
            names = keys_of(then.settings)
            for _ in range(25):
                request, zone, spf = _request(chance), _zone(chance), chance.choice(list(_SPF))
                _, decision = await judged(request, then.settings, FakeResolver(zone), spf)
                truth, _ = await judged(request, now.settings, FakeResolver(zone), spf)
                new = again(now, decision, names)
                if not new.missing:
                    known += 1
                    assert new.defers == (truth.status is Status.GREYLISTED), (decision, now.settings)
                    changed += new.defers != decision.defers
        assert known > 500
        assert changed > 50


class TestMissingFacts:
    async def test_spf_that_was_not_needed(self, tmp_path: Path) -> None:
        _, decision = await judged(REQUEST, configured(tmp_path).settings, FakeResolver(), "pass")
        assert decision.reason == "helo"
        assert again(configured(tmp_path, rfc_threshold=5), decision).missing == (SPF,)
        assert again(configured(tmp_path, rfc_threshold=5, use_spf=0), decision) == NewJudgement("clean")

    async def test_a_list_that_was_not_waited_for(self, tmp_path: Path) -> None:
        """The first listing was enough then."""
        zone: Zone = {("1.2.0.192.bl.example", "A"): LISTED, ("1.2.0.192.bl2.example", "A"): "silent"}
        request = REQUEST._replace(client_name="mail.example.com", helo_name="mail.example.com")
        _, decision = await judged(request, configured(tmp_path).settings, FakeResolver(zone), "pass")
        assert decision.reason == "dnsbl"
        assert again(configured(tmp_path, dnsbl_threshold=2), decision).missing == ("bl2.example",)
        assert again(configured(tmp_path, dnsbl_threshold=4), decision) == NewJudgement("clean")

    async def test_a_list_that_nothing_queried_lists_no_client(self, tmp_path: Path) -> None:
        request = REQUEST._replace(client_name="mail.example.com", helo_name="mail.example.com")
        _, decision = await judged(request, configured(tmp_path).settings, FakeResolver(), "pass")
        new = configured(tmp_path, dnsbls="bl.example, bl2.example, new.example")
        assert again(new, decision) == NewJudgement("clean")

    async def test_names_that_an_allowlist_made_unnecessary(self, tmp_path: Path) -> None:
        zone: Zone = {("1.2.0.192.wl.example", "A"): LISTED, ("1.2.0.192.in-addr.arpa", "PTR"): "silent"}
        _, decision = await judged(REQUEST, configured(tmp_path).settings, FakeResolver(zone), "pass")
        assert decision.reason == "trusted"
        assert NAMES in again(configured(tmp_path, dnswl_threshold=2), decision).missing


class TestStep4:
    @pytest.mark.parametrize(
        ("file", "line", "reason"),
        [
            ("whitelist_clients", "192.0.2.0/24", "exempt-client"),
            ("whitelist_senders", "example.com", "exempt-sender"),
            ("whitelist_recipients", "b@example.org", "exempt-recipient"),
        ],
    )
    async def test_new_list_files_exempt(self, file: str, line: str, reason: str, tmp_path: Path) -> None:
        _, decision = await judged(REQUEST, configured(tmp_path).settings, FakeResolver(), "pass")
        assert again(configured(tmp_path, {file: f"{line}\n"}), decision) == NewJudgement(reason)

    async def test_an_entry_that_needs_spf(self, tmp_path: Path) -> None:
        """It exempts only mail for which SPF passed then; where SPF was not checked, that is missing."""
        lists = {"whitelist_senders": "spf:example.com\n"}
        request = REQUEST._replace(client_name="mail.example.com", helo_name="mail2.example.com")
        scores = {"scores": "helo-half-match=1, sender-is-recipient=1"}
        for word, reason in (("pass", "exempt-sender"), ("fail", "spf")):
            _, decision = await judged(request, configured(tmp_path, **scores).settings, FakeResolver(), word)
            assert again(configured(tmp_path, lists, **scores), decision).reason == reason
        (tmp_path / "whitelist_senders").unlink()
        _, decision = await judged(REQUEST, configured(tmp_path).settings, FakeResolver(), "pass")
        assert again(configured(tmp_path, lists), decision) == NewJudgement("helo", True, (SPF,))

    async def test_trusted_networks_sections_and_modes(self, tmp_path: Path) -> None:
        _, decision = await judged(REQUEST, configured(tmp_path).settings, FakeResolver(), "pass")
        assert again(configured(tmp_path, trusted_networks="192.0.2.0/24"), decision) == NewJudgement("trusted-network")
        assert again(configured(tmp_path, mode="off"), decision) == NewJudgement("off")
        section = "[recipients mild]\nmatch = example.org\n"
        assert again(configured(tmp_path, sections=f"{section}mode = off\n"), decision) == NewJudgement("off")
        assert again(configured(tmp_path, sections=f"{section}rfc_threshold = 9\n"), decision) == NewJudgement("clean")
        assert again(configured(tmp_path, sections=f"{section}classic = 1\n"), decision) == NewJudgement(
            "classic", True
        )
        assert again(configured(tmp_path, mode="observe"), decision) == NewJudgement("helo", True)


class TestWait:
    @pytest.mark.parametrize(("period", "left"), [("5m", -60), ("10m", 240), ("0", -360)])
    def test_the_rest_of_a_wait_by_the_new_settings(self, period: str, left: int, tmp_path: Path) -> None:
        record = Record(Status.GREYLISTED, NOON - timedelta(minutes=6), NOON, 0, "helo")
        decision = stored(Decision(REQUEST, Reason.EARLY, True, TRIPLET, record, Standing.EARLY))
        pending = NewJudge(configured(tmp_path, greylist_period=period), HOST, frozenset()).pending(decision)
        assert not isinstance(pending, NewJudgement)
        assert wait_left(pending, decision) == timedelta(seconds=left)
        assert wait_left(pending, replace_details(decision)) is None


def replace_details(decision: StoredDecision) -> StoredDecision:
    """Return the decision without its record, as an older bley stored it."""
    details = {name: value for name, value in decision.details.items() if name != "first_seen"}
    return decision._replace(details=details)
