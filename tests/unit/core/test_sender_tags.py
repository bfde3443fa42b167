"""Two messages of one sender have the same sender, and two users have two. The forms are those of mail in the field."""

from itertools import combinations

import pytest

from bley.core.triplet import TripletRules

RULES = TripletRules()
ANY_DELIMITER = (RULES, TripletRules(recipient_delimiter=""))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("prvs=4711a2b=jane@d", "prvs=4712a2b=jane@d", id="BATV"),
        pytest.param("prvs=234d5777c=jane@d", "PRVS=039576D22=Jane@D", id="BATV without a key, case"),
        pytest.param("prvs=jane=0123456789@d", "prvs=jane=143db7279@d", id="BATV, the tag after the user"),
        pytest.param("jane+prvs=2987A7B7C7@d", "jane-prvs=3987a7b7c7@d", id="BATV as an extension"),
        pytest.param("btv1==34826e458e2==jane@d", "BTV1==474900D718C==jane@d", id="Barracuda"),
        pytest.param("msprvs1=17582z2tky0dk=bounces-9178@d", "msprvs1=17287cl4dnk4m=bounces-1521@d", id="SparkPost"),
        pytest.param("prvs=4711a2b=prvs=4712a2b=jane@d", "jane@d", id="BATV twice"),
        pytest.param("SRS0=7T3K=TS=a.example=prvs=058ff0969=jane@d", "SRS0=OGRT=72=a.example=jane@d", id="BATV in SRS"),
        pytest.param("prvs=058ff0969=SRS0=r+5q=VJ=a.example=x@d", "SRS0=i6a/=S4=a.example=x@d", id="SRS in BATV"),
        pytest.param("SRS0=a=b=a.example=bounces+12-3f=x@d", "SRS0=c=d=a.example=bounces+13-4f=x@d", id="VERP in SRS"),
        pytest.param("srs0=a=b=bounce.example=123@d", "srs0=c=d=bounce.example=124@d", id="VERP in SRS, by its domain"),
        pytest.param("bounces+848413-634f-x=a.example@d", "bounces+848413-e276-x=a.example@d", id="SendGrid"),
        pytest.param(
            "0102016efd924cb8-4e48dd8b-0599-4a87-8084-b51c410b859b-000000@d",
            "0102016efd948e3c-ed35c055-1123-473d-bcce-03a7adda94e6-000000@d",
            id="Amazon SES",
        ),
        pytest.param(
            "n01361f1607-0fe582ccfc934393-user===a.example@d",
            "n01361f2608-1ab582ccfc934394-user===a.example@d",
            id="hexadecimal numbers, postgrey 107",
        ),
        pytest.param(
            "bounce-md_10612303.5adf1f70.v1-0f662aa357fe4841870c6a233ce23b66@d",
            "bounce-md_10612303.5adf2a81.v1-a0772aa357fe4841870c6a233ce23b77@d",
            id="Mandrill",
        ),
        pytest.param("bounce-mc.us2_1.355-e3616ba718@d", "bounce-mc.us2_1.356-e3616ba719@d", id="Mailchimp"),
        pytest.param("bounce-330458969-1B@d", "bounce-330458970-2f@d", id="a short hexadecimal number"),
        pytest.param("bounce-12345_HTML-67890-47@d", "bounce-12346_HTML-67891-47@d", id="ExactTarget"),
        pytest.param("list-return-18919-x+list=a.example@d", "list-return-18421-x+list=a.example@d", id="ezmlm"),
        pytest.param("4711-jane=example.org@d", "4712-jane=example.org@d", id="an encoded recipient"),
        pytest.param("4711.bounce@d", "4712.bounce@d", id="the number first"),
        pytest.param("msg-1.2.3@d", "msg-1.2.4@d", id="numbers of a message"),
        pytest.param("123456@bounces.example.com", "123457@bounces.example.com", id="a domain for bounces"),
        pytest.param(
            "m.0fe582cc@bnc3.example.com", "m.1fe582cc@bnc3.example.com", id="a domain for bounces, with a word"
        ),
        pytest.param("m-20260805021027@d", "m-20260805021028@d", id="a second"),
        pytest.param(
            "user-550e8400-e29b-41d4-a716-446655440000@d",
            "user-650e8400-e29b-41d4-a716-446655440000@d",
            id="UUID",
        ),
        pytest.param(
            "m550e8400_e29b_41d4_a716_446655440000.x@d",
            "mc50e8400_e29b_a1d4_a716_c46655440000.x@d",
            id="UUID after a letter, with other separators",
        ),
        pytest.param(
            "b.550e8400e29b41d4a716446655440000@d", "b.650e8400e29b41d4a716446655440001@d", id="UUID without separators"
        ),
    ],
)
def test_two_messages_of_one_sender(one: str, other: str) -> None:
    assert RULES.sender(one) == RULES.sender(other)


USERS = (
    *("10086", "10087", "2289", "1092615079", "100067.3532", "100664.3101", "2019-12345", "2019-12346"),
    *("jane", "jane.doe", "user1", "user2", "jane84", "jane.1984", "jane.1985", "jane_84", "jane-85", "jane.doe.2"),
    *("info-2", "info-3", "noreply-1", "noreply-2", "room-101", "room-102", "klasse-5b", "klasse-6b"),
    *("wang_19881231", "wang_19881232", "wang-13800138000", "wang-8613800138001", "s1234567-work", "s1234568-work"),
    *("abe", "dad", "ed", "ada.bea", "bea.ada", "abc-def", "fed-cab", "dead-beef", "face-cafe", "decade-2", "decade-3"),
    *("jane.deadbeef", "jane.decade80", "jane.ada1984", "jane.face2face", "jane.2021dec"),
    *("deadbeef01", "deadbeef02", "0123456789abcdef", "0123456789abcdf0", "f66c330c1b", "20260805021027"),
    *("550e8400-e29b-41d4-a716-446655440000", "650e8400-e29b-41d4-a716-446655440000"),
    *("jane.1984=a.example", "jane.1985=a.example", "buildd_x86-01", "buildd_x86-02", "root-10.0.0.1", "root-10.0.0.2"),
)
"""Local parts of people and systems, some of them addresses in the documentation of Debian's packages."""


@pytest.mark.parametrize(
    "form",
    [
        "{}@example.com",
        "prvs=4711a2b={}@example.com",
        "btv1==34826e458e2=={}@example.com",
        "SRS0=HHH=TT=example.com={}@example.net",
        "prvs=4711a2b=SRS1=HHH=a.example==III=TT=example.com={}@example.net",
    ],
)
def test_two_users_are_two(form: str) -> None:
    """Also if their server signs, or another one forwards."""
    for one, other in combinations(USERS, 2):
        for rules in ANY_DELIMITER:
            assert rules.sender(form.format(one)) != rules.sender(form.format(other)), (one, other)


def test_forwarded_users_of_two_domains_are_two() -> None:
    """A number in the domain is no tag."""
    assert RULES.sender("SRS0=HHH=TT=163.com=jane@d") != RULES.sender("SRS0=HHH=TT=126.com=jane@d")
    assert RULES.sender("SRS0=HHH=TT=163.com=bounce-1@d") != RULES.sender("SRS0=HHH=TT=126.com=bounce-1@d")


@pytest.mark.parametrize("domain", ["example.com", "bouncer.example.com", "debounces.example", "bounces2go.example"])
def test_another_domain_has_users(domain: str) -> None:
    """Only the whole word is one for bounces."""
    assert RULES.sender(f"10086@{domain}") == f"10086@{domain}"


def test_the_doubt_that_is_left() -> None:
    """Numbered mail with a word that users have too is of two senders; numbered lists are one."""
    assert RULES.sender("promo-4711@d") != RULES.sender("promo-4712@d")
    assert RULES.sender("list-1@d") == RULES.sender("list-2@d")
