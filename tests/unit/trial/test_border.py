"""The header that the border server wrote: found among those of inner servers above and of strangers below."""

from bley.trial.border import Border, find_border
from bley.trial.received import Hop, parse_received

INNER = "from localhost (localhost [127.0.0.1]) by mx.example.org (Postfix) with ESMTP id 1"
STRANGER = "from mail.example.com (mail.example.com [192.0.2.1]) by mx.example.org (Postfix) with ESMTP id 1"
FORGED = "from good.example.net (good.example.net [203.0.113.9]) by mx.example.org (Postfix) with ESMTP id 1"
MX = Border(["mx.example.org"])


def _hops(*headers: str) -> list[Hop]:
    return [parse_received(header) for header in headers]


def _from(number: int, by: str = "mx.example.org") -> Hop:
    """Return a hop from a stranger."""
    return parse_received(f"from a (mail.domain{number}.example [198.51.100.{number}]) by {by} (Postfix)")


def test_a_header_below_the_border_is_not_trusted() -> None:
    chosen = MX.choose(_hops(INNER, STRANGER, FORGED))
    assert chosen
    assert chosen.name == "mail.example.com"


def test_mail_that_came_by_another_server_has_no_border() -> None:
    other = "from mail.example.com (mail.example.com [192.0.2.1]) by mx.example.net (Postfix) with ESMTP id 1"
    assert MX.choose(_hops(other, FORGED)) is None


def test_a_client_that_only_says_it_is_ours_is_a_stranger() -> None:
    claims = "from mx.example.org (unknown [192.0.2.1]) by mx.example.org (Postfix) with ESMTP id 1"
    chosen = MX.choose(_hops(claims, FORGED))
    assert chosen
    assert chosen.name == "unknown"


def test_names_of_domains_name_their_servers_too() -> None:
    border = Border(["Example.ORG."], is_pattern=True)
    assert border.is_own("mx.example.org")
    assert not border.is_own("mx.badexample.org")
    assert not MX.is_own("a.mx.example.org")


def test_the_commonest_writer_is_the_border() -> None:
    sample = [[_from(number)] for number in range(20)] + [[_from(number, "mx.old.example")] for number in range(9)]
    assert find_border(sample).names == ("mx.example.org",)


def test_servers_of_one_site_are_the_border_together() -> None:
    sample = [[_from(number, f"mx{number % 2}.example.org")] for number in range(20)]
    assert find_border(sample).names == ("mx0.example.org", "mx1.example.org")


def test_behind_an_inner_server_the_border_is_the_one_before_it() -> None:
    inner = parse_received("from mx1.example.org (mx1.example.org [192.0.2.7]) by imap.example.org (Postfix)")
    sample = [[inner, _from(number, "mx1.example.org")] for number in range(20)]
    border = find_border(sample)
    assert border.choose(sample[3]) == sample[3][1]


def test_mail_that_users_submit_says_nothing_about_the_border() -> None:
    submitted = parse_received("from [10.0.0.1] (dsl.example.net [203.0.113.7]) by imap.example.org with ESMTPSA id 1")
    inner = parse_received("from mx1.example.org (mx1.example.org [192.0.2.7]) by imap.example.org (Postfix)")
    sample = [[inner, _from(number, "mx1.example.org")] for number in range(20)] + 15 * [[submitted]]
    border = find_border(sample)
    assert border.choose(sample[3]) == sample[3][1]


def test_a_pool_of_servers_is_named_by_its_domain() -> None:
    """A server that the sample does not have wrote headers too; a client of the domain is none of the site."""
    border = find_border([[_from(number, f"mx{number}.example.org")] for number in range(20)])
    assert border.names == ("example.org",)
    assert border.choose([_from(9, "mx77.example.org")])
    assert border.choose([_from(9, "mx.badexample.org")]) is None
    customer = parse_received("from a (dsl7.example.org [203.0.113.7]) by mx3.example.org (Postfix)")
    assert border.choose([customer]) == customer


def test_servers_with_private_addresses_are_one_site() -> None:
    """A pool of them is named together, as at Yahoo; a server with a public address is another site."""
    sample = [
        [parse_received(f"from 198.51.100.{number} (EHLO a.example) by 10.197.32.{number} with SMTPs")]
        for number in range(20)
    ]
    border = find_border(sample)
    assert border.names == ("private addresses",)
    assert border.choose(_hops("from 198.51.100.1 (EHLO a.example) by 10.9.9.9 with SMTPs"))
    assert border.choose(_hops("from 198.51.100.1 (EHLO a.example) by 203.0.113.9 with SMTPs")) is None
    assert find_border(sample[:2]).names == ("10.197.32.0", "10.197.32.1")


def test_a_server_without_a_name_is_named_by_its_address() -> None:
    gateway = parse_received("from gw (unknown [IPv6:2001:db8::7]) by mx.example.org (Postfix) with ESMTP id 1")
    stranger = _from(3, "gw.example.org")
    border = Border(["mx.example.org", "gw.example.org", "[2001:db8::7]"], is_pattern=True)
    assert border.choose([gateway, stranger]) == stranger
    assert border.names[0] == "mx.example.org"


def test_a_list_that_sends_nearly_all_mail_is_a_stranger() -> None:
    listed = parse_received("from bendel.example.net (bendel.example.net [192.0.2.7]) by mx.example.org (Postfix)")
    sample = [[listed, _from(number, "bendel.example.net")] for number in range(20)]
    assert find_border(sample).names == ("mx.example.org",)


def test_no_usable_header_is_no_border() -> None:
    assert find_border([[], _hops("by x (Postfix, from userid 0)")]).names == ()
