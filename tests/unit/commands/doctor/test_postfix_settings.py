"""The output of postconf becomes parameters, services and restrictions."""

import pytest

from bley.commands.doctor.postfix_settings import (
    Policy,
    PostfixSettings,
    Restriction,
    Service,
    parse_postconf,
    parse_restrictions,
    split_list,
)

SERVICES = """
smtp       inet  n       -       y       -       1       postscreen
smtpd      pass  -       -       -       -       -       smtpd -o {smtpd_milters=inet:a, inet:b}
127.0.0.1:10025 inet n   -       n       -       -       smtpd -o mynetworks=127.0.0.0/8
"""
OVERRIDES = """
smtpd/pass/smtpd_milters = inet:a, inet:b
127.0.0.1:10025/inet/mynetworks = 127.0.0.0/8
gone/inet/mynetworks = x
"""


def test_overrides_of_master_cf_hide_main_cf() -> None:
    settings = parse_postconf("mynetworks = 192.0.2.0/24\nsmtpd_milters =\n", SERVICES, OVERRIDES)
    assert [service.program for service in settings.services] == ["postscreen", "smtpd", "smtpd"]
    assert [settings.get("mynetworks", each) for each in settings.services] == ["192.0.2.0/24"] * 2 + ["127.0.0.0/8"]
    assert settings.get("smtpd_milters", settings.services[1]) == "inet:a, inet:b"
    assert settings.get("unknown") == settings.get("smtpd_milters") == ""


@pytest.mark.parametrize(
    ("chroot", "level", "has_chroot"),
    [("y", "3.6", True), ("n", "0", False), ("-", "3.6", False), ("-", "0", True), ("-", "", True)],
)
def test_the_default_of_chroot_depends_on_the_compatibility_level(chroot: str, level: str, has_chroot: bool) -> None:
    settings = PostfixSettings({"compatibility_level": level}, ())
    assert settings.has_chroot(Service("smtp", "inet", chroot, "smtpd")) is has_chroot


def test_a_list_is_split_outside_of_braces_only() -> None:
    assert split_list("a,b  { c, d { e f } } ,, g") == ["a", "b", "{ c, d { e f } }", "g"]
    assert split_list("} a { b") == ["}", "a", "{ b"]


def test_restrictions_take_their_arguments() -> None:
    text = (
        "Permit_mynetworks reject_rbl_client zen.example=127.0.0.2, warn_if_reject check_policy_service { unix:p, a=b }"
    )
    assert parse_restrictions(text + ", sleep 1 check_client_access hash:/etc/x reject") == [
        Restriction("permit_mynetworks"),
        Restriction("reject_rbl_client", "zen.example=127.0.0.2"),
        Restriction("check_policy_service", "{ unix:p, a=b }", is_only_logged=True),
        Restriction("sleep", "1"),
        Restriction("check_client_access", "hash:/etc/x"),
        Restriction("reject"),
    ]
    assert parse_restrictions("check_policy_service") == [Restriction("check_policy_service")]
    assert parse_restrictions("") == []


@pytest.mark.parametrize(
    ("argument", "policy"),
    [
        ("inet:127.0.0.1:1337", Policy("inet:127.0.0.1:1337", {})),
        ("{inet:[::1]:1337}", Policy("inet:[::1]:1337", {})),
        (
            "{ unix:p timeout=10s,default_action=DUNNO }",
            Policy("unix:p", {"timeout": "10s", "default_action": "DUNNO"}),
        ),
        ("{ unix:p, { default_action = 451 a, b } }", Policy("unix:p", {"default_action": "451 a, b"})),
        ("{ }", Policy("", {})),
        ("", Policy("", {})),
    ],
)
def test_policy_services(argument: str, policy: Policy) -> None:
    assert Policy.parse(argument) == policy
