"""What to do if a decision was wrong."""

from collections.abc import Sequence
from typing import Any

import pytest

from bley.core.exemptions.list_files import read_clients, read_mail_addresses, read_senders
from bley.core.history.advice import Advice, ListFiles, advice, deferral_advice, exemptions_of, with_exempted
from bley.core.history.exempted import ExemptedCount, ExemptedMail, Exemption
from bley.core.history.outcome import DeferralOutcome, OutcomeKind
from bley.core.history.search import StoredDecision
from bley.core.history.story import Story
from bley.core.mail import Triplet, parse_address
from tests.fakes import NOON

FILES = ListFiles(
    "/etc/bley/whitelist_clients.local",
    "/etc/bley/whitelist_senders.local",
    "/etc/bley/whitelist_recipients.local",
)
RELOAD = "and run: systemctl reload bley"
RECIPIENT = Advice(
    "or exempt this recipient: bley allow --recipient jane@example.org",
    "jane@example.org",
    FILES.recipients,
    "bley allow --recipient jane@example.org",
    Exemption("recipient", "jane@example.org"),
)
CLIENT = Advice(
    "or exempt the client's domain: bley allow --client example.com",
    "example.com",
    FILES.clients,
    "bley allow --client example.com",
    Exemption("client", "example.com"),
)


def _decision(reason: str = "helo", client: str = "example.com", **changes: Any) -> StoredDecision:
    details = {"triplet": [client, "john@example.com", "jane@example.org"], **changes.pop("details", {})}
    words = "192.0.2.1", "mx.mail.example.com", "friend", "john@example.com", "jane@example.org", "", ""
    return StoredDecision("1", NOON, "greylist", reason, *words, details)._replace(**changes)


def _passed(reason: str, **changes: Any) -> StoredDecision:
    return _decision(reason, outcome="pass", **changes)


def _advice(
    decision: StoredDecision,
    files: ListFiles = FILES,
    kept_under: Sequence[Triplet] = (),
    outcome: DeferralOutcome | None = None,
) -> list[Advice]:
    deferral = decision if decision.defers else None
    return advice(Story(decision, deferral=deferral, outcome=outcome), files, kept_under)


def _texts(decision: StoredDecision) -> list[str]:
    return [each.text for each in _advice(decision, FILES)]


class TestOfADeferral:
    def test_the_sender_s_domain_comes_before_the_client_and_the_recipient(self) -> None:
        first, second, third, told = _advice(_decision(), FILES)
        command = "bley allow --sender example.com"
        exemption = Exemption("sender", "example.com")
        text = f"exempt the sender's domain: {command}"
        assert first == Advice(text, "example.com", FILES.senders, command, exemption)
        assert (second, third) == (CLIENT, RECIPIENT)
        assert told.text.startswith("tell the client's operator: its HELO should be its own host name")
        address = parse_address("192.0.2.1")
        assert address
        assert read_senders([("senders", first.entry)]).find("john@example.com")
        assert read_clients([("clients", second.entry)]).find(address, "mx.mail.example.com")
        assert read_mail_addresses([("recipients", third.entry)]).find("jane@example.org")

    @pytest.mark.parametrize(
        ("spf", "first"),
        [
            ((0, "pass: matched (example.com)"), "exempt the sender's domain, while SPF passes: @spf:example.com"),
            ((0, "pass: best guess, matched"), "exempt the sender's domain: @example.com"),
            ((0, "none: example.com has no SPF record"), "exempt the sender's domain: @example.com"),
            ((None, "temperror: late"), "exempt the sender's domain: @example.com"),
            ((1, "fail: not authorized (example.com)"), ""),
        ],
    )
    def test_a_sender_is_exempt_while_spf_passes(self, spf: tuple[int | None, str], first: str) -> None:
        """And not at all if SPF fails: it may be forged, or forwarded, and then the client is exempt."""
        findings = {"spf": {"score": spf[0], "detail": spf[1]}}
        found = _texts(_decision(details={"findings": findings}))[0]
        by_client = CLIENT.text.removeprefix("or ")
        assert found == (first.replace("@", "bley allow --sender ") if first else by_client)

    def test_our_own_domain_is_exempt_only_while_spf_passes(self) -> None:
        """Spammers like to forge it."""
        own = _decision(sender="joe@Example.ORG")
        assert _advice(own, FILES)[0].entry == "example.com"
        passing = _decision(sender="joe@Example.ORG", details={"findings": {"spf": {"score": 0, "detail": "pass: ok"}}})
        assert _advice(passing, FILES)[0].entry == "spf:Example.ORG"

    @pytest.mark.parametrize("domain", ["gmail.com", "yahoo.co.uk", "com", "dyndns.org"])
    def test_under_the_domain_of_a_provider_the_sender_alone_is_exempt(self, domain: str) -> None:
        first, *_ = _advice(_decision(sender=f"joe@{domain}"), FILES)
        assert (first.text, first.entry) == (
            f"exempt this sender: bley allow --sender joe@{domain}",
            f"joe@{domain}",
        )

    def test_the_pool_of_a_provider_is_not_exempt_as_a_whole(self) -> None:
        name = "mail-ed1-f41.google.com"
        found = _advice(_decision(client="google.com", client_name=name, sender=""), FILES)
        assert found[0].entry == "192.0.2.1"

    @pytest.mark.parametrize(
        ("client", "name"), [("192.0.2.0/24", "unknown"), ("192.0.2.0/24", "ppp-7.example.com"), ("example.com", "x")]
    )
    def test_one_without_a_name_of_its_own_is_exempt_by_its_address(self, client: str, name: str) -> None:
        _, second, *_ = _advice(_decision(client=client, client_name=name), FILES)
        assert (second.text, second.entry, second.file) == (
            "or exempt this client's address: bley allow --client 192.0.2.1",
            "192.0.2.1",
            FILES.clients,
        )

    def test_the_command_names_settings_that_are_not_the_default(self) -> None:
        files = FILES._replace(option=("-c", "/srv/my bley.conf"))
        waiting = DeferralOutcome(OutcomeKind.WAITING)
        commands = [each.command for each in _advice(_decision("client-bad"), files, outcome=waiting)]
        assert len(commands) == 5
        assert all(each.split("'")[0].endswith(" -c ") and "-c '/srv/my bley.conf' " in each for each in commands)

    def test_hashes_are_for_no_list_file(self) -> None:
        """But domains are stored in clear."""
        files = FILES._replace(is_private=True)
        found = _advice(_decision(client="192.0.2.0/24", sender="5e8f@gmail.com"), files)
        assert [each.entry for each in found] == ["192.0.2.1", ""]
        assert _advice(_decision(sender="5e8f@example.com"), files)[0].entry == "example.com"

    @pytest.mark.parametrize("sender", ["joe@-rf.example.com", "-c=/tmp/x@gmail.com"])
    def test_an_entry_is_no_option_of_the_command(self, sender: str) -> None:
        first, *_ = _advice(_decision(sender=sender), FILES)
        assert first.command.startswith("bley allow --sender -- -")

    @pytest.mark.parametrize("recipient", ["jane#x@example.org", "/jane/@example.org", "jane", "\x1bjane@example.org"])
    def test_what_cannot_stand_in_a_file_is_no_entry(self, recipient: str) -> None:
        assert recipient not in [each.entry for each in _advice(_decision(recipient=recipient), FILES)]

    def test_a_list_s_operator_is_asked(self) -> None:
        """Of lists that counted."""
        lists = [
            {"list": "zen.spamhaus.org", "is": "…", "says": "", "weight": 1},
            {"list": "bl.example", "is": "…", "says": "", "weight": 0},
        ]
        *_, told = _texts(_decision("dnsbl", details={"findings": {"dnsbl": {"score": 1, "lists": lists}}}))
        ask = "ask zen.spamhaus.org (https://www.spamhaus.org/) to remove 192.0.2.1; "
        assert told == f"{ask}or, if the list is wrong too often, take it out of dnsbls"

    @pytest.mark.parametrize("reason", ["domain-list", "fresh-domain"])
    def test_the_owner_of_a_listed_domain_is_told(self, reason: str) -> None:
        lists = [
            {"list": "dbl.spamhaus.org", "is": "…", "says": "", "weight": 1, "domains": ["a.example", "b.example"]},
            {"list": "dbl.example", "is": "…", "says": "", "weight": 0, "domains": ["a.example"]},
        ]
        *_, told = _texts(_decision(reason, details={"findings": {"domain-list": {"score": 1, "lists": lists}}}))
        site = "https://www.spamhaus.org/blocklists/domain-blocklist/"
        tell = f"tell the postmaster of a.example and b.example: dbl.spamhaus.org ({site}) lists it; "
        assert told == f"{tell}or, if the list is wrong too often, take it out of domain_lists"

    @pytest.mark.parametrize(
        ("reason", "told"),
        [
            ("spf", "tell the postmaster of example.com: its SPF record does not permit 192.0.2.1"),
            ("dynamic", "tell the client's operator: its host name should not look like an access line's"),
        ],
    )
    def test_whom_to_tell(self, reason: str, told: str) -> None:
        *_, last = _texts(_decision(reason))
        assert last == told

    @pytest.mark.parametrize("client", ["192.0.2.0/24", "example.com"])
    def test_another_address_of_the_client_may_have_been_judged(self, client: str) -> None:
        *_, last = _advice(_decision("client-bad", client=client), FILES)
        assert last.command == f"bley why {client}"

    @pytest.mark.parametrize("kind", list(OutcomeKind))
    def test_a_mail_that_waits_can_pass_at_once(self, kind: OutcomeKind) -> None:
        """By a command; a mail that does not wait needs none."""
        found = _advice(_decision(client="192.0.2.0/24"), FILES, outcome=DeferralOutcome(kind))
        commands = [each.command for each in found if each.command and not each.entry]
        command = "bley pass --sender john@example.com --recipient jane@example.org"
        assert commands == ([command] if kind in (OutcomeKind.WAITING, OutcomeKind.DUE) else [])

    def test_for_a_store_that_failed_nobody_is_exempt(self) -> None:
        (only,) = _texts(_decision("store-error"))
        assert only.startswith("see the log")


class TestOfAPass:
    @pytest.mark.parametrize("reason", ["exempt-client", "exempt-sender", "exempt-recipient"])
    def test_an_entry_is_taken_out(self, reason: str) -> None:
        found, *_ = _advice(_passed(reason, details={"entry": "/etc/bley/list:12:example.com"}), FILES)
        assert found == Advice(f"take the entry out of /etc/bley/list, line 12, {RELOAD}", file="/etc/bley/list")

    @pytest.mark.parametrize("kind", ["client", "sender", "recipient"])
    def test_an_entry_of_bley_allow_is_removed_by_it(self, kind: str) -> None:
        file = getattr(FILES, f"{kind}s")
        entry = "dyn:home.example.org" if kind == "client" else "jane@example.com"
        first, *others = _advice(_passed(f"exempt-{kind}", details={"entry": f"{file}:2:{entry}"}), FILES)
        remove = f"bley allow --remove --{kind} {entry}"
        assert first == Advice(f"remove the entry: {remove}", entry, file, remove)
        add = f"{remove} && bley allow --sender spf:{entry}"
        assert [each.command for each in others] == ([add] if kind == "sender" else [])

    def test_an_entry_that_privacy_has_removed_is_found_by_its_line(self) -> None:
        """In a file that needs no reload."""
        (only,) = _texts(_passed("exempt-sender", details={"entry": f"{FILES.senders}:2"}))
        assert only == f"take line 2 out of {FILES.senders}, which bley reads within 20 seconds"

    @pytest.mark.parametrize(
        ("reason", "entry", "written"),
        [
            ("exempt-sender", "example.com", "spf:example.com"),
            ("exempt-sender", "jane@example.com", "spf:jane@example.com"),
            ("exempt-sender", "spf:example.com", ""),
            ("exempt-sender", "jane@", ""),
            ("exempt-sender", "/example/", ""),
            ("exempt-recipient", "example.com", ""),
        ],
    )
    def test_a_forged_sender_is_not_exempt_by_spf(self, reason: str, entry: str, written: str) -> None:
        """Where SPF has a domain to ask about, and the entry does not have its mark yet."""
        _, *others = _texts(_passed(reason, details={"entry": f"/etc/bley/list:12:{entry}"}))
        assert others == ([f'or, if the sender was forged: write it as "{written}", {RELOAD}'] if written else [])

    def test_but_postmaster_must_be_reachable(self) -> None:
        (only,) = _texts(_passed("exempt-recipient", details={"entry": "built-in:1:postmaster@"}))
        assert "RFC 5321" in only

    @pytest.mark.parametrize("reason", ["known", "waited", "released"])
    def test_the_known_are_made_strangers(self, reason: str) -> None:
        """By a line for the shell, whatever the sender is called."""
        (only,) = _texts(_passed(reason, details={"triplet": ["example.com", "$(reboot)@example.com", "jane@b"]}))
        assert only.endswith("bley forget --client example.com --sender '$(reboot)@example.com' --recipient jane@b")

    def test_the_null_sender_is_named(self) -> None:
        (only,) = _texts(_passed("known", details={"triplet": ["example.com", "", "jane@b"]}))
        assert only.endswith("bley forget --client example.com --sender '<>' --recipient jane@b")

    def test_what_cannot_be_shown_is_a_code_for_the_shell(self) -> None:
        sender = "a'\\x1b\x1b\u2028ü@example.com"
        (only,) = _texts(_passed("known", details={"triplet": ["example.com", sender, "jane@b"]}))
        assert r" --sender $'a\047\134x1b\033\342\200\250ü@example.com' " in only
        assert only.isprintable()

    def test_the_place_is_named_where_the_record_is(self) -> None:
        """One kept under the client's network, and a second one from another time."""
        places = Triplet("192.0.2.0/24", "", "jane@b"), Triplet("192.0.2.0/24", "ANY", "ANY")
        (only,) = _advice(_passed("known"), FILES, places)
        assert only.text == (
            "make it a stranger again: bley forget --client 192.0.2.0/24 --sender '<>' --recipient jane@b"
            " && bley forget --client 192.0.2.0/24 --sender ANY --recipient ANY"
        )

    def test_an_allowlist_is_left_out(self) -> None:
        lists = [{"list": "list.dnswl.org", "is": "…", "says": "", "weight": 1}]
        found = _texts(_passed("trusted", details={"findings": {"dnswl": {"score": 1, "lists": lists}}}))
        assert found == ["take list.dnswl.org out of dnswls, or raise dnswl_threshold"]

    @pytest.mark.parametrize("reason", ["clean", "client-good", "trusted-network", "store-error", "internal-error"])
    def test_settings_are_named(self, reason: str) -> None:
        assert len(_texts(_passed(reason))) == 1

    @pytest.mark.parametrize("reason", ["not-rcpt", "incomplete", "authenticated", "of-another-version"])
    def test_none_where_bley_did_not_judge(self, reason: str) -> None:
        assert _texts(_passed(reason)) == []


def test_an_entry_that_exempts_already_is_not_advised_again() -> None:
    """The deferral was before it. The entry may also have been one that another deferral advised."""
    exempted, after_outage = (
        DeferralOutcome(OutcomeKind.LET_THROUGH, passed_by=by) for by in ("exempt-client (f:1:a)", "store-error")
    )
    assert not any(each.entry for each in _advice(_decision(), FILES, outcome=exempted))
    assert any(each.entry for each in _advice(_decision(), FILES, outcome=after_outage))


class TestOfAStory:
    def test_an_early_retry_has_the_advice_of_its_deferral(self) -> None:
        """Whose SPF passed; the retry was not checked."""
        deferral = _decision(details={"findings": {"spf": {"score": 0, "detail": "pass: matched"}}})
        early = _decision("early", number="2")
        found = advice(Story(early, deferral=deferral), FILES)
        assert found == advice(Story(deferral, deferral=deferral), FILES)
        assert found[0].entry == "spf:example.com"

    @pytest.mark.parametrize("reason", ["waited", "known", "exempt-client"])
    def test_a_pass_has_that_of_its_deferral_besides_its_own(self, reason: str) -> None:
        story = Story(_passed(reason, number="2"), deferral=_decision())
        assert deferral_advice(story, FILES) == advice(Story(_decision(), deferral=_decision()), FILES)
        assert advice(story, FILES) == _advice(_passed(reason))

    def test_without_a_deferral_there_is_none(self) -> None:
        assert deferral_advice(Story(_passed("clean")), FILES) == []

    def test_the_cause_of_a_judgment_is_mended(self) -> None:
        """The client was judged because of another mail: the entry is for this one."""
        judged = _decision("dynamic", number="0", sender="x@example.net")
        bad = _decision("client-bad")
        *entries, last = advice(Story(bad, deferral=bad, judgment=judged), FILES)
        assert last.text.startswith("tell the client's operator: its host name")
        assert entries[0].entry == "example.com"


def test_an_entry_has_what_it_would_have_exempted() -> None:
    """An entry to be removed exempts nothing that was deferred."""
    found = _advice(_decision())
    client, recipient = Exemption("client", "example.com"), Exemption("recipient", "jane@example.org")
    assert exemptions_of([*found, *found]) == [Exemption("sender", "example.com"), client, recipient]
    mail = ExemptedMail(ExemptedCount(3, is_at_least=False), 28)
    assert [each.exempted for each in with_exempted(found, {client: mail})] == [None, mail, None, None]
    exempt = _passed("exempt-client", details={"entry": f"{FILES.clients}:3:example.com"})
    assert exemptions_of(_advice(exempt)) == []
