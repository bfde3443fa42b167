"""The order of Postfix's restrictions, without postconf; test_doctor_postfix.py tests remedies with the real one."""

from ipaddress import ip_network

import pytest

from bley.commands.doctor.finding import Level
from bley.commands.doctor.policy_place import BleyPlaces
from bley.commands.doctor.postfix_lists import examine_order, is_for_strangers, steps_of
from bley.commands.doctor.postfix_settings import PostfixSettings, Service

BLEY = "check_policy_service { inet:127.0.0.1:1337, default_action=DUNNO }"
LIST = "smtpd_recipient_restrictions"
SMTPD = Service("smtp", "inet", "y", "smtpd")
PLACES = BleyPlaces(("127.0.0.1:1337", "unix:/run/bley/s"), 5.0, (ip_network("127.0.0.0/8"),))
GOOD = f"permit_mynetworks, reject_unauth_destination, {BLEY}"


def _settings(recipients: str = GOOD, **others: str) -> PostfixSettings:
    values = {
        "queue_directory": "/var/spool/postfix",
        "mynetworks": "127.0.0.0/8",
        "smtpd_delay_reject": "yes",
        "smtpd_relay_before_recipient_restrictions": "yes",
        "smtpd_policy_service_timeout": "100s",
        "smtpd_policy_service_try_limit": "2",
        "smtpd_policy_service_default_action": "451 4.3.5 Server configuration problem",
    }
    return PostfixSettings(values | {LIST: recipients} | others, (SMTPD,))


def test_a_good_list_is_described() -> None:
    (finding,) = examine_order(_settings(), SMTPD, PLACES)
    assert finding.level is Level.WELL
    assert finding.what.endswith(f"in {LIST}: timeout 100s, try_limit 2, default_action DUNNO")


@pytest.mark.parametrize(
    ("settings", "level", "what"),
    [
        (_settings("reject_unauth_destination"), Level.FAULT, "does not query bley"),
        (
            _settings(GOOD.replace(":1337", ":1338").replace("127.0.0.1", "bley.example")),
            Level.FAULT,
            "but bley listens",
        ),
        (
            _settings(GOOD.replace("inet:127.0.0.1:1337", "unix:/run/bley/s")),
            Level.FAULT,
            "outside of the queue folder",
        ),
        (_settings(f"permit_mynetworks, {BLEY}"), Level.WARNING, "before reject_unauth_destination"),
        (_settings(f"reject, {GOOD}"), Level.FAULT, "has reject before bley"),
        (_settings(GOOD.replace("check", "warn_if_reject check")), Level.FAULT, "warn_if_reject"),
        (_settings(f"{GOOD}, {BLEY}"), Level.WARNING, "2 times"),
        (_settings(f"reject_unauth_destination, {BLEY}, permit_mynetworks"), Level.WARNING, "before permit_mynetworks"),
        (
            _settings(f"reject_unauth_destination, {BLEY}", mynetworks="[::1]/128 10.0.0.0/8 hash:/etc/postfix/own"),
            Level.WARNING,
            "not in trusted_networks: 10.0.0.0/8",
        ),
        (_settings(GOOD.replace("DUNNO", "DEFER")), Level.WARNING, "while bley is down"),
        (_settings(smtpd_policy_service_timeout="2s"), Level.WARNING, "waits 2 s"),
        (_settings(smtpd_policy_service_try_limit="1"), Level.WARNING, "only once"),
        (_settings("", smtpd_data_restrictions=BLEY), Level.FAULT, "in smtpd_data_restrictions"),
        (
            _settings("", smtpd_client_restrictions=BLEY, smtpd_delay_reject="no"),
            Level.FAULT,
            "with smtpd_delay_reject = no",
        ),
        (_settings(f"{GOOD}, check_policy_service inet:127.0.0.1:10023"), Level.WARNING, "greylists too"),
        (
            _settings("reject_unauth_destination", smtpd_restriction_classes="grey", grey=BLEY),
            Level.NOTE,
            "where an access table answers grey",
        ),
    ],
)
def test_the_first_fault_is_named(settings: PostfixSettings, level: Level, what: str) -> None:
    finding = next(iter(examine_order(settings, SMTPD, PLACES)))
    assert finding.level is level
    assert what in finding.what
    assert level is Level.NOTE or finding.remedy


def test_classes_are_expanded_and_one_that_contains_itself_ends() -> None:
    settings = _settings("grey", smtpd_restriction_classes="grey", grey=f"{BLEY}, grey")
    asked = [step for step in steps_of(settings, SMTPD, PLACES) if step.restriction.is_policy]
    assert len(asked) == 5
    assert {step.list_name for step in asked} == {LIST}


@pytest.mark.parametrize(
    ("service", "is_asked"),
    [
        (Service("smtp", "inet", "y", "smtpd"), True),
        (Service("192.0.2.1:25", "inet", "y", "smtpd"), True),
        (Service("smtpd", "pass", "y", "smtpd"), True),
        (Service("smtp", "unix", "y", "smtp"), False),
        (Service("submission", "inet", "y", "smtpd"), False),
        (Service("10025", "inet", "y", "smtpd", {LIST: "permit_mynetworks, reject"}), False),
        (Service("2525", "inet", "y", "smtpd"), True),
    ],
)
def test_services_that_receive_mail_of_strangers(service: Service, *, is_asked: bool) -> None:
    assert is_for_strangers(_settings(), service) is is_asked
