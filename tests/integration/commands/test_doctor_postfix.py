"""`bley doctor` on wrong set-ups of Postfix: postconf reads each, the fault is found, and its remedy ends it."""

import os
import re
import subprocess
import time
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path

import pytest

from bley.commands.doctor.finding import Finding, Level, worst
from bley.commands.doctor.policy_place import BleyPlaces
from bley.commands.doctor.postfix import examine_postfix
from tests.integration.postfix import Postfix
from tests.integration.running_bley import WAIT_SECONDS, Bley
from tests.integration.servers import require

POSTCONF = Path("/usr/sbin/postconf")
BLEY = "check_policy_service { inet:127.0.0.1:1337, default_action=DUNNO }"
PERMITS = "permit_mynetworks, permit_sasl_authenticated"
GOOD = f"{PERMITS}, reject_unauth_destination, {BLEY}"
LIST = "smtpd_recipient_restrictions"
SMTPD = "smtp inet n - y - - smtpd\n"
POSTSCREEN = "smtp inet n - y - 1 postscreen\nsmtpd pass - - y - - smtpd\n"
SUBMISSION = (
    f"submission inet n - y - - smtpd\n -o {LIST}=\n -o smtpd_relay_restrictions=permit_sasl_authenticated,reject\n"
)
PLACES = BleyPlaces(("127.0.0.1:1337", "unix:/var/spool/postfix/private/bley", "unix:/run/bley/s"), 5.0,
                    (ip_network("127.0.0.0/8"), ip_network("::1")))  # fmt: skip


@dataclass(frozen=True)
class Case:
    """Settings over those of a good set-up, and the level and beginning of the first finding."""

    level: Level
    what: str
    settings: dict[str, str] = field(default_factory=dict)
    master: str = SMTPD + SUBMISSION


def recipients(value: str, **others: str) -> dict[str, str]:
    return {LIST: value, **others}


FAULT, WARNING = Level.FAULT, Level.WARNING
SMTP = "the service smtp/inet in {folder} "
WRONG = {
    "bley is not queried": Case(
        FAULT,
        SMTP + "does not query bley",
        recipients(f"{PERMITS}, reject_unauth_destination, reject_unlisted_recipient"),
    ),
    "no list at all": Case(FAULT, SMTP + "does not query bley", recipients("")),
    "another port": Case(
        FAULT,
        SMTP + "queries inet:bley.example:1338, but bley listens at 127.0.0.1:1337",
        recipients(f"{PERMITS}, reject_unauth_destination, check_policy_service inet:bley.example:1338"),
    ),
    "IPv6, where bley listens with IPv4": Case(
        FAULT, SMTP + "queries inet:[::1]:1337, but", recipients(GOOD.replace("127.0.0.1", "[::1]"))
    ),
    "a socket that does not exist": Case(
        FAULT,
        SMTP + "queries unix:bley/policy, but",
        recipients(GOOD.replace("inet:127.0.0.1:1337", "unix:bley/policy")),
    ),
    "a socket outside of the chroot": Case(
        FAULT,
        SMTP + "queries unix:/run/bley/s, outside of the queue folder",
        recipients(GOOD.replace("inet:127.0.0.1:1337", "unix:/run/bley/s")),
    ),
    "before relaying is refused": Case(
        WARNING,
        SMTP + "queries bley before reject_unauth_destination",
        recipients(f"{PERMITS}, {BLEY}, reject_unauth_destination", smtpd_relay_restrictions=""),
    ),
    "before relaying is refused, old order of lists": Case(
        WARNING,
        SMTP + "queries bley before reject_unauth_destination",
        recipients(f"{PERMITS}, {BLEY}", smtpd_relay_before_recipient_restrictions="no"),
    ),
    "before permit_mynetworks": Case(
        WARNING,
        SMTP + "queries bley before permit_mynetworks and permit_sasl_authenticated",
        recipients(f"reject_unauth_destination, {BLEY}, {PERMITS}"),
    ),
    "no default_action": Case(
        WARNING,
        SMTP.replace("the", "while bley is down, the", 1) + "answers `451 4.3.5 Server configuration problem`",
        recipients(f"{PERMITS}, reject_unauth_destination, check_policy_service inet:127.0.0.1:1337"),
    ),
    "default_action rejects": Case(
        FAULT,
        "while bley is down, the service smtp/inet in {folder} answers `554 no greylisting`",
        recipients(GOOD.replace("default_action=DUNNO", "{ default_action = 554 no greylisting }")),
    ),
    "a time-out that is too short": Case(
        WARNING, SMTP + "waits 2 s for bley", recipients(GOOD, smtpd_policy_service_timeout="2s")
    ),
    "one try": Case(WARNING, SMTP + "tries a query only once", recipients(GOOD, smtpd_policy_service_try_limit="1")),
    "a permit before bley": Case(
        FAULT, SMTP + "has permit_auth_destination before bley", recipients(f"permit_auth_destination, {GOOD}")
    ),
    "a reject before bley": Case(
        FAULT,
        SMTP + "has reject before bley",
        recipients(f"{PERMITS}, reject_unauth_destination, reject, {BLEY}"),
    ),
    "only logged": Case(
        FAULT,
        SMTP + "has warn_if_reject before bley",
        recipients(GOOD.replace("check_policy", "warn_if_reject check_policy")),
    ),
    "queried twice": Case(
        WARNING, SMTP + "queries bley 2 times for a recipient", recipients(f"{GOOD}, {BLEY}")
    ),
    "in the list of senders too": Case(
        WARNING,
        SMTP + "queries bley before reject_unauth_destination",
        recipients(GOOD, smtpd_sender_restrictions=f"permit_mynetworks, {BLEY}"),
    ),
    "without smtpd_delay_reject": Case(
        FAULT,
        SMTP + "queries bley in smtpd_client_restrictions, with smtpd_delay_reject = no",
        recipients("", smtpd_client_restrictions=f"permit_mynetworks, {BLEY}", smtpd_delay_reject="no"),
    ),
    "after DATA": Case(
        FAULT,
        SMTP + "queries bley in smtpd_data_restrictions",
        recipients("", smtpd_data_restrictions=f"permit_mynetworks, {BLEY}"),
    ),
    "postgrey": Case(
        WARNING,
        "postgrey greylists too: check_policy_service inet:127.0.0.1:10023",
        recipients(f"{GOOD}, check_policy_service inet:127.0.0.1:10023"),
    ),
    "sqlgrey in another list": Case(
        WARNING,
        "sqlgrey greylists too: check_policy_service inet:127.0.0.1:2501 in smtpd_sender_restrictions",
        recipients(GOOD, smtpd_sender_restrictions="check_policy_service inet:127.0.0.1:2501"),
    ),
    "milter-greylist": Case(
        WARNING,
        "a milter greylists too: unix:/milter-greylist/milter-greylist.sock",
        recipients(GOOD, smtpd_milters="inet:localhost:8891, unix:/milter-greylist/milter-greylist.sock"),
    ),
    "postscreen's deep tests": Case(
        WARNING,
        "postscreen's deep protocol tests are on: pipelining, bare newline",
        recipients(GOOD, postscreen_pipelining_enable="yes", postscreen_bare_newline_enable="yes"),
        POSTSCREEN,
    ),
    "postscreen without smtpd behind it": Case(
        FAULT, "postscreen has no service smtpd/pass", recipients(GOOD), POSTSCREEN.splitlines()[0] + "\n"
    ),
    "XCLIENT": Case(
        WARNING,
        "smtpd_authorized_xclient_hosts = 127.0.0.0/8",
        recipients(GOOD, smtpd_authorized_xclient_hosts="127.0.0.0/8"),
    ),
    "a proxy before postscreen, expected by smtpd": Case(
        FAULT,
        "smtpd_upstream_proxy_protocol = haproxy, but postscreen",
        recipients(GOOD, smtpd_upstream_proxy_protocol="haproxy"),
        POSTSCREEN,
    ),
    "every client is one's own": Case(
        FAULT, "mynetworks has 0.0.0.0/0", recipients(GOOD, mynetworks="127.0.0.0/8, 0.0.0.0/0")
    ),
    "master.cf has another list": Case(
        FAULT,
        SMTP + "does not query bley",
        recipients(GOOD),
        SMTPD.rstrip() + f"\n -o {{ {LIST} = permit_mynetworks, reject_unauth_destination }}\n",
    ),
}  # fmt: skip
RIGHT = {
    "the lines of the README": recipients(f"reject_unauth_destination, {BLEY}"),
    "all in one list": recipients(GOOD),
    "a relative socket in the chroot": recipients(GOOD.replace("inet:127.0.0.1:1337", "unix:private/bley")),
    "localhost": recipients(GOOD.replace("127.0.0.1:1337", "localhost:1337")),
    "a time-out of its own": recipients(GOOD.replace("default", "timeout=10s, default")),
    "a variable": recipients("$ours", ours=GOOD),
    "a class": recipients("permit_mynetworks, bley", smtpd_restriction_classes="bley", bley=BLEY),
    "another policy service": recipients(f"{GOOD}, check_policy_service unix:private/policyd-spf"),
}


def write(folder: Path, settings: dict[str, str], master: str) -> None:
    require(POSTCONF, "postfix")
    base = {
        "compatibility_level": "3.6",
        "queue_directory": "/var/spool/postfix",
        "mynetworks": "127.0.0.0/8 [::1]/128 192.0.2.25/32",
    }
    folder.joinpath("main.cf").write_text("".join(f"{key} = {value}\n" for key, value in (base | settings).items()))
    folder.joinpath("master.cf").write_text(master)


def findings_of(folder: Path) -> list[Finding]:
    os.utime(folder / "main.cf", (0, 0))  # Postfix waits a second while main.cf is this new
    return list(examine_postfix(PLACES, str(folder)))


def repair(remedy: str) -> None:
    """Run the parts of the remedy that change settings."""
    for command in remedy.split(" && "):
        if command.startswith("postconf "):
            subprocess.run(command, shell=True, check=True, timeout=60)


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_set_up_is_found_and_its_remedy_ends_it(name: str, tmp_path: Path) -> None:
    case = WRONG[name]
    what = case.what.replace("{folder}", str(tmp_path))
    write(tmp_path, case.settings, case.master)
    found = findings_of(tmp_path)
    wrong = [each for each in found if each.level not in (Level.WELL, Level.NOTE)]
    assert wrong, found
    finding = next((each for each in wrong if each.what.startswith(what)), None)
    assert finding, wrong
    assert finding.level is case.level
    assert finding.why
    assert "\n" not in finding.remedy
    repair(finding.remedy)
    assert what not in "\n".join(each.what for each in findings_of(tmp_path))
    for each in findings_of(tmp_path):
        repair(each.remedy)
    assert worst(findings_of(tmp_path)) in (Level.WELL, Level.NOTE), findings_of(tmp_path)


@pytest.mark.parametrize("master", [SMTPD + SUBMISSION, POSTSCREEN + SUBMISSION])
@pytest.mark.parametrize("name", RIGHT)
def test_a_right_set_up_is_well(name: str, master: str, tmp_path: Path) -> None:
    write(tmp_path, RIGHT[name], master)
    [finding] = findings_of(tmp_path)
    assert finding.level is Level.WELL
    assert re.match(r"the service (smtp/inet|smtpd/pass) in .* queries bley at ", finding.what)


def test_own_networks_that_bley_delays_are_a_warning(tmp_path: Path) -> None:
    """Single addresses are those of the machine itself."""
    networks = "127.0.0.0/8 192.168.0.0/16 192.0.2.25/32 [::1]/128"
    write(tmp_path, recipients(f"reject_unauth_destination, {BLEY}", mynetworks=networks), SMTPD)
    [finding] = findings_of(tmp_path)
    assert finding.level is Level.WARNING
    assert finding.what.endswith(" that are not in trusted_networks: 192.168.0.0/16")
    line = "in bley.conf: trusted_networks = 127.0.0.0/8, ::1/128, 192.168.0.0/16; then: systemctl reload bley"
    assert finding.remedy == line


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("", BLEY),
        ("reject_non_fqdn_recipient, permit", f"reject_non_fqdn_recipient, {BLEY}, permit"),
        (
            f"reject_x, {PERMITS}, check_a hash:a, reject_unauth_destination, reject_rbl_client b",
            f"reject_x, {PERMITS}, check_a hash:a, reject_unauth_destination, {BLEY}, reject_rbl_client b",
        ),
        (f"reject_unauth_destination, {PERMITS}, reject", f"reject_unauth_destination, {PERMITS}, {BLEY}, reject"),
        ("permit_mynetworks, reject_rbl_client b", f"permit_mynetworks, {BLEY}, reject_rbl_client b"),
    ],
)
def test_the_remedy_keeps_the_order_of_all_others(old: str, new: str, tmp_path: Path) -> None:
    """A permit in front of a check would end that check for one's own users."""
    write(tmp_path, recipients(old), SMTPD)
    [finding] = findings_of(tmp_path)
    assert f"'{LIST} = {new}'" in finding.remedy


def test_the_options_are_shown(tmp_path: Path) -> None:
    write(tmp_path, recipients(GOOD.replace("default", "timeout=10s, default")), SMTPD)
    [finding] = findings_of(tmp_path)
    assert finding.what.endswith("in smtpd_recipient_restrictions: timeout 10s, try_limit 2, default_action DUNNO")


def test_smtpd_delay_reject_is_noted_where_it_does_no_harm(tmp_path: Path) -> None:
    write(tmp_path, recipients(GOOD, smtpd_delay_reject="no"), SMTPD)
    assert [each.level for each in findings_of(tmp_path)] == [Level.WELL, Level.NOTE]


def test_a_service_with_other_tasks_keeps_its_place(tmp_path: Path) -> None:
    iredapd = "check_policy_service inet:127.0.0.1:7777"
    write(tmp_path, recipients(f"{PERMITS}, reject_unauth_destination, {iredapd}"), SMTPD)
    findings = findings_of(tmp_path)
    assert [each.level for each in findings] == [Level.NOTE, Level.FAULT]
    assert findings[0].remedy == "in /opt/iredapd/settings.py: remove `greylisting` from plugins"
    assert iredapd in findings[1].remedy


def test_the_remedy_works_while_postfix_runs(tmp_path: Path) -> None:
    """Postfix has never queried bley; a stranger's next mail waits."""
    with Bley(tmp_path) as bley, Postfix("inet:127.0.0.1:1", main_cf={LIST: "reject_unauth_destination"}) as postfix:
        folder = str(postfix.folder / "settings")
        place = BleyPlaces((bley.places[0],))
        [remedy] = [each.remedy for each in examine_postfix(place, folder) if "does not query bley" in each.what]
        subprocess.run(remedy, shell=True, check=True, timeout=WAIT_SECONDS)
        end = time.monotonic() + WAIT_SECONDS
        while not _is_deferred(postfix):
            assert time.monotonic() < end, "Postfix has not read its settings again"


def _is_deferred(postfix: Postfix) -> bool:
    with postfix.session(client_address="192.0.2.1", helo_name="friend") as smtp:
        [reply] = smtp.send("a@example.com", ["b@example.org"])
    return reply.code == 450


def test_complaints_of_postconf_are_warnings_if_they_concern_smtpd(tmp_path: Path) -> None:
    others = {"smtpd_recipent_restrictions": "reject", "foo": "bar", "smtpd_helo_restrictions": "$x"}
    write(tmp_path, recipients("reject_unauth_destination", **others), SMTPD)
    with tmp_path.joinpath("main.cf").open("a") as main:
        main.write(f"{LIST} = {GOOD}\n")
    findings = [each for each in findings_of(tmp_path) if each.level is Level.WARNING]
    assert [re.sub("^.*?: ", "", each.what) for each in findings] == [
        "overriding earlier entry: smtpd_recipient_restrictions=reject_unauth_destination",
        "undefined parameter: x",
        "unused parameter: smtpd_recipent_restrictions=reject",
    ]


def test_rspamd_greylists_unless_it_is_switched_off(tmp_path: Path) -> None:
    write(tmp_path, recipients(GOOD, smtpd_milters="inet:127.0.0.1:11332"), SMTPD)
    assert any(each.what.startswith("rspamd (inet:127.0.0.1:11332) greylists too") for each in findings_of(tmp_path))


def test_a_class_of_an_access_table_is_noted(tmp_path: Path) -> None:
    settings = recipients(
        "check_recipient_access inline:{b@example.org=bley}", smtpd_restriction_classes="bley", bley=BLEY
    )
    write(tmp_path, settings, SMTPD)
    assert [each.level for each in findings_of(tmp_path)] == [Level.NOTE]


def test_postconf_is_found_without_sbin_in_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The PATH of users, and of many monitoring agents."""
    write(tmp_path, recipients(GOOD), SMTPD)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert worst(findings_of(tmp_path)) is Level.WELL


def test_settings_that_postfix_cannot_read_are_a_fault(tmp_path: Path) -> None:
    write(tmp_path, {}, "smtp inet\n")
    assert [each.level for each in findings_of(tmp_path)] == [Level.FAULT]
