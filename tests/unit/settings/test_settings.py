"""The settings: defaults, units, bounds, and how they are shown."""

from datetime import timedelta
from ipaddress import IPv4Network, ip_network
from pathlib import Path

import pytest
from pydantic import ValidationError

from bley.core.dnslists.lists import interpret, parse_dns_lists
from bley.core.greylist import Lifetimes, Timing
from bley.core.policy import Thresholds
from bley.core.scores import DEFAULT
from bley.core.triplet import TripletRules
from bley.settings.database import Database, parse_database
from bley.settings.settings import Settings, show
from bley.settings.values import parse_duration


def _value(key: str, text: str) -> object:
    """What the settings make of `key = text`."""
    return getattr(Settings.model_validate({key: text}), key)


@pytest.mark.parametrize(
    ("key", "default"),
    [
        ("listen_addr", ("127.0.0.1",)),
        ("listen_port", 1337),
        ("listen_mode", 0o660),
        ("pid_file", ""),
        ("log_file", "-"),
        ("log_format", "text"),
        ("reject_msg", "greylisted, try again later"),
        (
            "greylist_header",
            "X-Greylist: delayed %(delta)s seconds by bley-%(version)s at %(hostname)s; %(date)s",
        ),
        ("database", ""),
        ("dbtype", "sqlite3"),
        ("dbhost", "localhost"),
        ("dbport", 0),
        ("dbname", "bley.db"),
        ("dbpath", ""),
        ("dbuser", "bley"),
        ("dbpass", ""),
        ("dbpass_file", ""),
        ("dbtls", "off"),
        ("dbtls_ca", ""),
        ("whitelist_recipients_file", ("whitelist_recipients",)),
        ("whitelist_clients_file", ("whitelist_clients",)),
        ("whitelist_senders_file", ("whitelist_senders",)),
        ("trusted_networks", (ip_network("127.0.0.0/8"), ip_network("::1"))),
        ("dnswl_threshold", 1),
        ("dnsbl_threshold", 1),
        ("rfc_threshold", 2),
        ("scores", DEFAULT),
        ("resolver", ()),
        ("check_timeout", timedelta(seconds=5)),
        ("use_spf", True),
        ("use_spf_guess", False),
        ("greylist_period", timedelta(minutes=5)),
        ("greylist_max", timedelta(minutes=720)),
        ("greylist_penalty", timedelta(minutes=1)),
        ("greylist_by", "smart"),
        ("ipv4_prefix", 24),
        ("ipv6_prefix", 64),
        ("recipient_delimiter", "+"),
        ("purge_days", timedelta(days=40)),
        ("purge_bad_days", timedelta(days=10)),
        ("log_days", timedelta(days=30)),
        ("privacy", "off"),
        ("privacy_key_file", "bley.key"),
        ("cache_valid", timedelta(seconds=60)),
        ("cache_size", 100_000),
        ("exim_workaround", False),
        ("mode", "enforce"),
        ("on_store_error", "pass"),
        ("web_listen", "127.0.0.1:1338"),
        ("web_hosts", ()),
        ("web_proxy", ()),
        ("web_password_file", ""),
        ("web_tls_cert", ""),
        ("web_tls_key", ""),
    ],
)
def test_default(key: str, default: object) -> None:
    assert getattr(Settings(), key) == default


def test_default_lists_are_alive_and_filtered() -> None:
    """Those of bley 2 are dead; only what a list means by its own codes counts, and each can decide alone."""
    settings = Settings()
    assert [dns_list.zone for dns_list in settings.dnsbls] == ["zen.spamhaus.org", "bl.spamcop.net"]
    assert [dns_list.zone for dns_list in settings.dnswls] == ["list.dnswl.org"]
    for dns_list in (*settings.dnsbls, *settings.dnswls):
        assert dns_list.facts.status == "alive"
        assert dns_list.facts.source, "it is a list that is known"
        assert [(entry.filter is None, entry.weight) for entry in dns_list.entries] == [(False, 1)]


@pytest.mark.parametrize(
    ("codes", "weight"),
    [
        ("127.0.0.2", 1),
        ("127.0.0.11", 1),
        pytest.param("127.0.0.30", 0, id="a code that says nothing of mail"),
        pytest.param("127.255.255.254", 0, id="asked through a public resolver"),
    ],
)
def test_what_counts_by_default(codes: str, weight: int) -> None:
    zen = Settings().dnsbls[0]
    assert zen.weight(interpret(zen.facts, [codes])) == weight


@pytest.mark.parametrize(("code", "weight"), [("127.0.5.0", 0), ("127.0.5.1", 1), ("127.0.5.3", 1), ("127.0.10.3", 0)])
def test_trust_that_counts_by_default(code: str, weight: int) -> None:
    """Not what dnswl.org calls no trust, and not what it answers to whom it throttles."""
    (dnswl,) = Settings().dnswls
    assert dnswl.weight(interpret(dnswl.facts, [code])) == weight


@pytest.mark.parametrize(
    ("key", "text", "seconds"),
    [
        pytest.param("check_timeout", "7", 7, id="a bare number is seconds here"),
        pytest.param("cache_valid", "60", 60, id="and here, as bley 2 really did it"),
        pytest.param("greylist_period", "5", 300, id="minutes here"),
        pytest.param("purge_days", "40", 40 * 86400, id="days here"),
        pytest.param("log_days", "7", 7 * 86400, id="and here"),
        pytest.param("log_days", "12h", 43200, id="of which there may be half a one"),
        pytest.param("greylist_period", "90s", 90, id="seconds"),
        pytest.param("check_timeout", "1m", 60, id="minutes"),
        pytest.param("greylist_max", "12h", 43200, id="hours"),
        pytest.param("greylist_period", "1d", 86400, id="days"),
        pytest.param("greylist_period", " 1.5 H ", 5400, id="a fraction, a space, a capital"),
        pytest.param("greylist_period", "0", 0, id="none at all"),
        pytest.param("greylist_period", "5 minutes", 300, id="in words"),
        pytest.param("greylist_period", "5min", 300, id="as in rspamd"),
        pytest.param("cache_valid", "1 Hour", 3600, id="one of it"),
        pytest.param("purge_days", "35 days", 35 * 86400, id="days in words"),
        pytest.param("greylist_period", "300 secs", 300, id="a short word"),
    ],
)
def test_duration(key: str, text: str, seconds: float) -> None:
    assert _value(key, text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "m", "-5", "5 moments", "5 minutes 3", "1h30m", "0x5", "5,5", "inf", "nan", "1e3", "9" * 400]
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValidationError, match=r"is (not a duration|longer than 36500d)"):
        _value("greylist_period", text)


@pytest.mark.parametrize("key", ["purge_days", "purge_bad_days", "log_days", "cache_valid"])
def test_duration_from_before_the_calendar(key: str) -> None:
    """What was that long ago has no date; whoever means "never" is told so at the start, not at each request."""
    with pytest.raises(ValidationError, match="is longer than 36500d"):
        _value(key, "999999d")


@pytest.mark.parametrize("text", ["0", "0s", "61", "2m"])
def test_check_timeout_is_bounded(text: str) -> None:
    """Postfix gives up after 100 s, and a check needs some time."""
    with pytest.raises(ValidationError, match="must be more than 0s and at most 60s"):
        _value("check_timeout", text)


@pytest.mark.parametrize(
    "texts",
    [
        pytest.param({"purge_bad_days": "12h"}, id="too short for the default wait"),
        pytest.param({"greylist_max": "10d"}, id="too long for the default lifetime"),
        pytest.param({"purge_bad_days": "1", "greylist_max": "24h"}, id="both given"),
    ],
)
def test_greylisted_record_lives_longer_than_it_waits(texts: dict[str, str]) -> None:
    """Otherwise no greylisted mail could ever pass."""
    with pytest.raises(ValidationError, match="greylist_max"):
        Settings.model_validate(texts)


@pytest.mark.parametrize("text", ["1", "yes", "TRUE", "on"])
def test_true(text: str) -> None:
    assert _value("exim_workaround", text) is True


@pytest.mark.parametrize("text", ["0", "no", "False", "off"])
def test_false(text: str) -> None:
    assert _value("use_spf", text) is False


@pytest.mark.parametrize("key", ["dnswl_threshold", "dnsbl_threshold", "rfc_threshold"])
@pytest.mark.parametrize("text", ["0", "-1", "-999", "1000", "nan", "inf", "1e3", "0.5", "", "9" * 5000])
def test_a_threshold_that_says_nothing_is_refused(key: str, text: str) -> None:
    """From 0 on every client would reach it, whatever is found; NaN none, and every other at once."""
    with pytest.raises(ValidationError):
        Settings.model_validate({key: text})


@pytest.mark.parametrize("scores", ["helo=-1", "helo-mismatch=1000", "helo-mismatch=nan", "helo-mismatch=1e2"])
def test_a_score_that_says_nothing_is_refused(scores: str) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({"scores": scores})


def test_an_address_that_is_written_twice_is_one() -> None:
    settings = Settings.model_validate({"listen_addr": "unix:s, 127.0.0.1, unix:s, ::ffff:127.0.0.1"})
    assert settings.listen_addr == ("unix:s", "127.0.0.1")


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("trusted_networks", "::ffff:192.0.2.0/120", (IPv4Network("192.0.2.0/24"),)),
        ("web_proxy", "::ffff:192.0.2.1", (IPv4Network("192.0.2.1"),)),
        ("web_hosts", "[::ffff:192.0.2.1]", ("192.0.2.1",)),
        ("listen_addr", "::ffff:127.0.0.1, [::FFFF:192.0.2.1]", ("127.0.0.1", "192.0.2.1")),
        ("listen_addr", "unix:/run/::ffff:1.2.3.4, localhost", ("unix:/run/::ffff:1.2.3.4", "localhost")),
        ("web_place", "[::ffff:127.0.0.1]:1339", ("127.0.0.1", 1339)),
    ],
)
def test_ipv4_mapped_addresses_are_ipv4(key: str, text: str, value: object) -> None:
    """A client's address is IPv4 too, and nobody can listen at a mapped one."""
    settings = Settings.model_validate({"web_listen" if key == "web_place" else key: text})
    assert getattr(settings, key) == value


@pytest.mark.parametrize("key", ["listen_addr", "whitelist_clients_file", "resolver"])
def test_several_words(key: str) -> None:
    """Separated by commas or white space, line ends too."""
    assert _value(key, "192.0.2.1, 192.0.2.2\n192.0.2.3") == ("192.0.2.1", "192.0.2.2", "192.0.2.3")
    assert _value(key, "192.0.2.1") == ("192.0.2.1",)


def test_trusted_networks() -> None:
    """Bits behind the prefix are ignored; none at all are fine."""
    networks = (ip_network("192.0.2.0/24"), ip_network("2001:db8::/32"))
    assert _value("trusted_networks", "192.0.2.5/24 2001:db8::1/32") == networks
    assert _value("trusted_networks", "") == ()


@pytest.mark.parametrize(
    ("text", "networks"),
    [
        pytest.param("[::1]/128 [2001:db8::]/32", ["::1/128", "2001:db8::/32"], id="Postfix's brackets"),
        pytest.param("127.0.0.0/8 [::ffff:127.0.0.0]/104", ["127.0.0.0/8"] * 2, id="Debian's main.cf"),
        pytest.param("[::1], [2001:db8::1/64]", ["::1/128", "2001:db8::/64"], id="brackets around all"),
        pytest.param("192.0.2.0/255.255.255.0", ["192.0.2.0/24"], id="netmask"),
        pytest.param("192.0.2.1-192.0.2.4", ["192.0.2.1/32", "192.0.2.2/31", "192.0.2.4/32"], id="range"),
        pytest.param("192.0.2.2 - 192.0.2.3, ::1", ["192.0.2.2/31", "::1/128"], id="range with spaces"),
        pytest.param("[2001:db8::2]-[2001:db8::3]", ["2001:db8::2/127"], id="range of IPv6"),
        pytest.param("::ffff:192.0.2.2-192.0.2.3", ["192.0.2.2/31"], id="range from an IPv4-mapped address"),
    ],
)
@pytest.mark.parametrize("key", ["trusted_networks", "web_proxy"])
def test_networks_as_others_write_them(key: str, text: str, networks: list[str]) -> None:
    """Source: postconf(5), mynetworks."""
    assert _value(key, text) == tuple(map(ip_network, networks))


def test_a_followed_name_belongs_in_the_list_of_clients() -> None:
    with pytest.raises(ValidationError) as caught:
        _value("trusted_networks", "127.0.0.0/8, dyn:home.example.org")
    assert "'dyn:home.example.org' is followed only in the list of clients, whitelist_clients_file" in str(caught.value)


@pytest.mark.parametrize("word", ["!192.0.2.1", "hash:/etc/postfix/n", "cidr:n", "/etc/postfix/n", "$mynetworks"])
def test_what_only_postfix_can_look_up_is_no_network(word: str) -> None:
    with pytest.raises(ValidationError) as caught:
        _value("trusted_networks", f"127.0.0.0/8, {word}")
    assert f"{word!r} is an exception, table or variable, as only Postfix has: write networks as" in str(caught.value)


@pytest.mark.parametrize(
    "word",
    [
        "192.168.1",
        "127/8",
        "mx.example.com",
        "192.0.2.1/33",
        "[192.0.2.1]",
        "192.0.2.1-9",
        "192.0.2.0/24-192.0.3.0/24",
        "192.0.2.9-192.0.2.1",
        "192.0.2.1-2001:db8::4",
        "2001:db8::/129",
        "[::1",
        "::1]/128",
    ],
)
def test_what_is_no_network(word: str) -> None:
    with pytest.raises(ValidationError) as caught:
        _value("trusted_networks", word)
    what = "write networks as 192.0.2.0/24, [2001:db8::]/32 or 192.0.2.1-192.0.2.9"
    assert f"{word!r} is not a network: {what}" in str(caught.value)


@pytest.mark.parametrize(
    "word", ["127.0.0.1:1337", "inet:127.0.0.1:1337", "[::1]:1337", "localhost:1337", "/run/b.sock", "*"]
)
def test_what_is_no_listener(word: str) -> None:
    """Source: postconf(5), check_policy_service, and the options of postgrey and sqlgrey."""
    with pytest.raises(ValidationError) as caught:
        _value("listen_addr", word)
    what = "write 127.0.0.1, ::1 or unix:/PATH, and the port as listen_port"
    assert f"{word!r} is not an address: {what}" in str(caught.value)


@pytest.mark.parametrize("text", ["192.0.2.1", "192.0.2.1:5353", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:53"])
def test_resolver(text: str) -> None:
    assert _value("resolver", text) == (text,)


@pytest.mark.parametrize(
    "text",
    [
        "dns.example",
        "192.0.2.1:",
        "192.0.2.1:0",
        "192.0.2.1:65536",
        "192.0.2.1:dns",
        "192.0.2.1:5_3",
        "192.0.2.1:+53",
        "192.0.2.1:٥٣",
        "192.0.2.1:000053",
        ":53",
        "[2001:db8::1]:x",
    ],
)
def test_what_is_no_resolver(text: str) -> None:
    with pytest.raises(ValidationError, match="is not a server"):
        _value("resolver", text)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("fe80::1", "with its interface: fe80"),
        ("2001:db8::1%lo", "with its interface: fe80"),
        ("fe80::1%nope", "there is no network interface 'nope'"),
        ("[fe80::1%nope]:53", "there is no network interface 'nope'"),
        ("fec0::1", "site-local"),
    ],
)
def test_a_link_local_resolver_has_its_interface(text: str, fault: str) -> None:
    """c-ares takes others too, and asks none."""
    with pytest.raises(ValidationError, match=fault):
        _value("resolver", text)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("127.0.0.1:1338", ("127.0.0.1", 1338)),
        ("127.0.0.2", ("127.0.0.2", 1338)),
        ("[::1]:8080", ("::1", 8080)),
        ("[::1]", ("::1", 1338)),
        ("::1", ("::1", 1338)),
        pytest.param("127.0.0.1:0", ("127.0.0.1", 0), id="a free port"),
        pytest.param("", None, id="off"),
    ],
)
def test_web_listen(text: str, place: tuple[str, int] | None) -> None:
    """A loopback address; the port is 1338 if not given."""
    settings = Settings.model_validate({"web_listen": text})
    assert settings.web_scheme == "http"
    assert (settings.web_listen, settings.web_place) == (text, place)


@pytest.mark.parametrize(
    "text", ["1338", "localhost:1338", ":1338", "127.0.0.1:", "127.0.0.1:web", "127.0.0.1:65536", "127.0.0.1:-1", "on"]
)
def test_what_is_no_place_to_listen_at(text: str) -> None:
    with pytest.raises(
        ValidationError, match=r"is not an address with a port: write 127\.0\.0\.1:1338 or \[::1\]:1338"
    ):
        _value("web_listen", text)


@pytest.mark.parametrize("text", ["0.0.0.0:1338", "192.0.2.1:1338", "[::]:1338", "2001:db8::1"])
class TestBeyondLoopback:
    def test_it_needs_a_password_or_a_proxy(self, text: str) -> None:
        with pytest.raises(
            ValidationError, match=r"is not a loopback address: it needs web_password_file .*, or web_proxy"
        ):
            _value("web_listen", text)

    @pytest.mark.parametrize("other", [{"web_password_file": "web_password"}, {"web_proxy": "192.0.2.9"}])
    def test_with_one_of_them_it_may_be(self, text: str, other: dict[str, str]) -> None:
        settings = Settings.model_validate({"web_listen": text} | other)
        assert settings.web_listen == text
        assert settings.web_is_open

    def test_a_wrong_proxy_is_the_only_fault(self, text: str) -> None:
        with pytest.raises(ValidationError) as caught:
            Settings.model_validate({"web_listen": text, "web_proxy": "nowhere"})
        assert [error["loc"] for error in caught.value.errors()] == [("web_proxy",)]


@pytest.mark.parametrize("text", ["127.0.0.1:1338", "[::1]", ""])
def test_who_is_asked_on_its_own_machine_only_is_not_open(text: str) -> None:
    assert not Settings.model_validate({"web_listen": text}).web_is_open


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("", ()),
        ("Bley.example.org, mail_1", ("bley.example.org", "mail_1")),
        ("bley.example.org.", ("bley.example.org",)),
        ("192.0.2.1 [2001:DB8::1] 2001:db8:0::2", ("192.0.2.1", "2001:db8::1", "2001:db8::2")),
    ],
)
def test_web_hosts(text: str, hosts: tuple[str, ...]) -> None:
    """As the header Host has them."""
    assert _value("web_hosts", text) == hosts


@pytest.mark.parametrize("text", ["bley.example.org:1338", "http://bley.example.org", "a..b", "*.example.org", "a/b"])
def test_what_is_no_host_name(text: str) -> None:
    with pytest.raises(
        ValidationError, match=r".* is not a host name: write bley\.example\.org, without http:// and port"
    ):
        _value("web_hosts", text)


@pytest.mark.parametrize("text", ["0.0.0.0/0", "192.0.2.1, ::/0"])
def test_not_everybody_is_a_proxy(text: str) -> None:
    with pytest.raises(ValidationError, match="includes every address"):
        _value("web_proxy", text)


@pytest.mark.parametrize(
    ("key", "text", "why"),
    [
        ("reject_msg", "Bitte später erneut", "must be ASCII, as every SMTP reply is (RFC 5321 4.2): replace 'ä'"),
        ("reject_msg", "try later \x07", "has a control character: remove it"),
        ("reject_msg", "x" * 401, "has up to 401 characters: write at most 400"),
        ("reject_msg", f"{'x' * 380} %(reason)s", "has up to 411 characters: write at most 400"),
        ("reject_msg", "wait %(wait)d", "must be one line, with no placeholders but %(wait)s, %(reason)s"),
        ("reject_msg", "wait %s", "must be one line, with no placeholders but %(wait)s, %(reason)s"),
        ("reject_msg", "100%", "write a percent sign as %%"),
        ("greylist_header", "X-Greylist: verzögert", "must be ASCII, as every header is (RFC 5322 2.2): replace 'ö'"),
        ("greylist_header", "X-Greylist: a\x00b", "has a control character: remove it"),
        ("greylist_header", f"X-Greylist: {'x' * 990}", "has up to 1002 characters: write at most 998"),
        ("greylist_header", "PREPEND X-Greylist: yes", "is not a header: write it as Name: text"),
        ("greylist_header", "Subject: delayed", "would give messages a second header Subject: write another name"),
        ("greylist_header", "content-type: text/plain", "would give messages a second header content-type"),
    ],
)
def test_text_that_mail_must_not_have(key: str, text: str, why: str) -> None:
    with pytest.raises(ValidationError) as caught:
        _value(key, text)
    assert why in str(caught.value)


@pytest.mark.parametrize("text", ["4.7.1 greylisted", "a\ttab", "x" * 400, '"quoted"'])
def test_text_of_a_reply(text: str) -> None:
    """Postfix takes a status before the text of DEFER_IF_PERMIT (access(5))."""
    assert _value("reject_msg", text) == text


@pytest.mark.parametrize(("text", "prefix"), [("28", 28), ("255.255.255.0", 24), ("255.255.240.0", 20)])
def test_prefix(text: str, prefix: int) -> None:
    """A netmask is what bley 2 took as well."""
    assert _value("ipv4_prefix", text) == prefix


@pytest.mark.parametrize("text", ["660", "0660"])
def test_listen_mode_is_octal(text: str) -> None:
    assert _value("listen_mode", text) == 0o660


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("reject_msg", "wait %(wait)s s, 100%%"),
        ("reject_msg", "wait %(wait)s s for %(reason)s"),
        ("greylist_header", "X-Greylist: %(delta)s %(version)s %(hostname)s %(date)s"),
        ("greylist_header", "X-Greylist:yes"),
        ("greylist_header", ""),
    ],
)
def test_template(key: str, text: str) -> None:
    assert _value(key, text) == text


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("reject_msg", "100%"),
        ("reject_msg", "%s"),
        ("reject_msg", "%(delta)s"),
        ("reject_msg", "%(wait)"),
        ("reject_msg", "%(wait)x"),
        ("reject_msg", "%(reason)d"),
        ("reject_msg", "one line\nand another"),
        ("greylist_header", "X-Greylist: %(wait)s"),
        ("greylist_header", "X-Greylist: %(hostname)d"),
    ],
)
def test_template_that_would_fail_later(key: str, text: str) -> None:
    """When the first mail is answered it would be too late."""
    with pytest.raises(ValidationError, match="must be one line, with no placeholders but"):
        _value(key, text)


@pytest.mark.parametrize("text", ["X-Greylist", ": delayed", "X Greylist: delayed", "X-Greylist: ", "X-Greylist:"])
def test_what_is_no_header(text: str) -> None:
    with pytest.raises(ValidationError, match="is not a header: write it as Name: text"):
        _value("greylist_header", text)


def test_settings_in_the_shape_their_users_need() -> None:
    settings = Settings.model_validate(
        {
            "dbpath": "/var/lib/bley",
            "dbname": "triplets.db",
            "greylist_period": "1",
            "greylist_max": "2",
            "greylist_penalty": "3",
            "purge_bad_days": "4",
            "purge_days": "5",
            "log_days": "6",
            "dnswl_threshold": "5",
            "dnsbl_threshold": "6",
            "rfc_threshold": "7",
            "greylist_by": "network",
            "ipv4_prefix": "8",
            "ipv6_prefix": "9",
            "recipient_delimiter": "-",
        }
    )
    assert settings.store == Database(file=Path("/var/lib/bley/triplets.db"))
    minutes, days = timedelta(minutes=1), timedelta(days=1)
    assert settings.lifetimes == Lifetimes(greylisted=4 * days, known=5 * days, decisions=6 * days)
    assert settings.timing == Timing(1 * minutes, 2 * minutes, 3 * minutes, settings.lifetimes)
    assert settings.thresholds == Thresholds(5, 6, 7)
    assert settings.triplet_rules == TripletRules("network", 8, 9, "-")


class TestStore:
    """Where the store is, from `database` or from bley 2's keys."""

    @pytest.mark.parametrize(
        ("texts", "place"),
        [
            pytest.param({"dbname": "b.db", "dbpath": "/var/lib/bley"}, "sqlite:////var/lib/bley/b.db", id="SQLite"),
            pytest.param({"dbname": "/srv/b.db", "dbpath": "/var"}, "sqlite:////srv/b.db", id="SQLite, absolute name"),
            pytest.param({"dbtype": "pgsql"}, "postgresql://bley@localhost/bley", id="PostgreSQL"),
            pytest.param({"dbtype": "mysql"}, "mysql://bley@localhost/bley", id="MySQL"),
            pytest.param({"dbtype": "redis"}, "redis://localhost/0", id="Redis: no user if none is given"),
            pytest.param(
                {"dbtype": "pgsql", "dbhost": "db.example.org", "dbport": "5433", "dbname": "mail", "dbuser": "john"},
                "postgresql://john@db.example.org:5433/mail",
                id="all of PostgreSQL",
            ),
            pytest.param({"dbtype": "pgsql", "dbname": "bley.db"}, "postgresql://bley@localhost/bley.db", id="name"),
            pytest.param({"dbtype": "mysql", "dbport": "0"}, "mysql://bley@localhost:3306/bley", id="usual port"),
            pytest.param(
                {"dbtype": "redis", "dbname": "3", "dbuser": "bley", "dbpass": "secret"},
                "redis://bley:secret@localhost/3",
                id="all of Redis",
            ),
            pytest.param(
                {"dbtype": "pgsql", "dbhost": "/run/postgresql"},
                "postgresql://bley@/bley?socket=/run/postgresql",
                id="PostgreSQL's socket",
            ),
            pytest.param(
                {"dbtype": "mysql", "dbhost": "/run/mysqld.sock", "dbport": "3306"},
                "mysql://bley@/bley?socket=/run/mysqld.sock",
                id="MySQL's socket",
            ),
            pytest.param(
                {"dbtype": "redis", "dbhost": "/run/redis.sock"},
                "redis:///0?socket=/run/redis.sock",
                id="Redis' socket",
            ),
            pytest.param(
                {"dbtype": "mysql", "dbhost": "2001:db8::1"}, "mysql://bley@[2001:db8::1]/bley", id="IPv6 address"
            ),
            pytest.param(
                {"dbtype": "mysql", "dbtls": "verify", "dbtls_ca": "/etc/ca.pem"},
                "mysql://bley@localhost/bley?tls=verify&ca=/etc/ca.pem",
                id="TLS",
            ),
            pytest.param(
                {"dbtype": "pgsql", "dbpass": "50%(off)s; @/:#1"},
                "postgresql://bley:50%25(off)s%3B%20%40%2F%3A%231@localhost/bley",
                id="a password is taken as it is",
            ),
        ],
    )
    def test_the_keys_of_bley_2_mean_the_same_as_a_url(self, texts: dict[str, str], place: str) -> None:
        assert Settings.model_validate(texts).store == parse_database(place)

    def test_a_url_stands_in_place_of_them(self) -> None:
        url = "mysql://john@db.example.org/mail"
        texts = {"database": url, "dbtype": "pgsql", "dbhost": "elsewhere", "dbname": "other", "dbuser": "joe"}
        assert Settings.model_validate(texts).store == parse_database(url)

    @pytest.mark.parametrize(
        ("url", "password"),
        [("postgresql://bley@h/bley", "of the key"), ("postgresql://bley:of%20the%20URL@h/bley", "of the URL")],
    )
    def test_the_password_need_not_be_in_the_url(self, url: str, password: str) -> None:
        assert Settings.model_validate({"database": url, "dbpass": "of the key"}).store.password == password

    @pytest.mark.parametrize(
        ("url", "tls", "ca_file"),
        [
            ("mysql://h/bley", "on", "/etc/ca.pem"),
            ("mysql://h/bley?tls=verify", "verify", "/etc/ca.pem"),
            ("mysql://h/bley?tls=verify&ca=/etc/other.pem", "verify", "/etc/other.pem"),
        ],
    )
    def test_tls_need_not_be_in_the_url(self, url: str, tls: str, ca_file: str) -> None:
        """Who asked for it in one place or the other gets it."""
        store = Settings.model_validate({"database": url, "dbtls": "on", "dbtls_ca": "/etc/ca.pem"}).store
        assert (store.tls, store.ca_file) == (tls, ca_file)

    def test_a_file_of_the_store_is_absolute(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """So that it stays where it is when the daemon changes its directory."""
        monkeypatch.chdir(tmp_path)
        assert Settings().store.file == tmp_path / "bley.db"
        assert Settings.model_validate({"dbpath": "var"}).store.file == tmp_path / "var" / "bley.db"
        assert Settings.model_validate({"database": "sqlite:///var/b.db"}).store.file == tmp_path / "var" / "b.db"

    @pytest.mark.parametrize(
        ("texts", "folder"),
        [
            ({}, "{here}"),
            ({"dbpath": "var"}, "{here}/var"),
            ({"dbpath": "/var/lib/bley"}, "/var/lib/bley"),
            ({"database": "sqlite:////srv/bley/b.db"}, "/srv/bley"),
            ({"database": "sqlite:////srv/bley/b.db", "dbpath": "/var"}, "/srv/bley"),
            ({"dbtype": "pgsql", "dbpath": "/var/lib/bley"}, "/var/lib/bley"),
            ({"database": "redis://localhost/0", "dbpath": "/var/lib/bley"}, "/var/lib/bley"),
        ],
    )
    def test_folder_of_its_other_files(
        self, texts: dict[str, str], folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The key of `privacy` is beside SQLite's file."""
        monkeypatch.chdir(tmp_path)
        assert Settings.model_validate(texts).folder == Path(folder.format(here=tmp_path))

    @pytest.mark.parametrize("name", ["bley", "-1", "1.5", "bley.db"])
    def test_redis_has_numbers_for_names(self, name: str) -> None:
        with pytest.raises(ValidationError, match="is not the number of a Redis database: write 0"):
            Settings.model_validate({"dbtype": "redis", "dbname": name})

    @pytest.mark.parametrize(
        ("key", "text"),
        [("dbtype", "oracle"), ("dbtls", "yes"), ("privacy", "on"), ("database", "bley.db"), ("log_days", "x")],
    )
    def test_what_is_none_of_the_values(self, key: str, text: str) -> None:
        with pytest.raises(ValidationError):
            _value(key, text)

    def test_the_password_is_in_no_text(self) -> None:
        """Of the settings or the store; a traceback may show both."""
        settings = Settings.model_validate({"dbtype": "pgsql", "dbpass": "geheim"})
        assert "geheim" not in f"{settings.store} {settings.store!r} {settings!r} {show(settings)}"
        assert "geheim" not in repr(Settings.model_validate({"database": "mysql://bley:geheim@h/bley"}))


def test_values_that_are_no_texts_are_taken_as_they_are() -> None:
    settings = Settings(use_spf=False, greylist_period=timedelta(minutes=7), dnsbls=parse_dns_lists("bl.example"))
    assert (settings.use_spf, settings.greylist_period) == (False, timedelta(minutes=7))
    assert settings.dnsbls[0].zone == "bl.example"


@pytest.mark.parametrize(
    ("key", "text", "line"),
    [
        ("use_spf", "yes", "use_spf = 1"),
        ("exim_workaround", "off", "exim_workaround = 0"),
        ("listen_mode", "600", "listen_mode = 0600"),
        ("listen_port", "1338", "listen_port = 1338"),
        ("greylist_period", "90s", "greylist_period = 90s"),
        ("greylist_period", "5", "greylist_period = 5m"),
        ("greylist_period", "0", "greylist_period = 0s"),
        ("greylist_max", "720", "greylist_max = 12h"),
        ("purge_days", "40", "purge_days = 40d"),
        ("check_timeout", "1.5", "check_timeout = 1.5s"),
        ("listen_addr", "::1 127.0.0.1", "listen_addr = ::1, 127.0.0.1"),
        ("trusted_networks", "192.0.2.0/24,::1", "trusted_networks = 192.0.2.0/24, ::1/128"),
        ("dnsbls", "bl.example=127.0.0.[2..4]*3", "dnsbls = bl.example=127.0.0.[2..4]*3"),
        (
            "dnswls",
            "a.example*-1 b.example a.example=127.0.0.2",
            "dnswls = a.example*-1, a.example=127.0.0.2, b.example",
        ),
        ("dnsbls", f"{'k' * 26}.zen.dq.spamhaus.net*3", "dnsbls = ********.zen.dq.spamhaus.net*3"),
        ("web_listen", "", "web_listen ="),
        ("reject_msg", "100%% sure", "reject_msg = 100%% sure"),
        ("dnswls", "", "dnswls ="),
        ("dbpass", "secret", "dbpass = ********"),
        ("dbpass", "", "dbpass ="),
        ("database", "", "database ="),
        ("database", "sqlite:////var/lib/bley.db", "database = sqlite:////var/lib/bley.db"),
        ("database", "mysql://bley@h/bley", "database = mysql://bley@h/bley"),
        ("database", "mysql://bley:secret@h/bley", "database = mysql://bley:********@h/bley"),
        ("log_days", "7", "log_days = 7d"),
    ],
)
def test_show(key: str, text: str, line: str) -> None:
    """A setting is shown with its unit, as it would be written; a password or a key is not."""
    assert line in show(Settings.model_validate({key: text})).splitlines()


def test_show_has_every_setting_once() -> None:
    section, *lines = show(Settings()).splitlines()
    assert section == "[bley]"
    assert [line.partition(" =")[0] for line in lines] == list(Settings.model_fields)


@pytest.mark.parametrize(
    ("log_format", "log_file", "is_json"),
    [("text", "-", False), ("json", "-", True), ("json", "syslog", True), ("json", "journald", False)],
)
def test_the_journal_has_text_and_its_fields_beside_it(log_format: str, log_file: str, is_json: bool) -> None:
    settings = Settings.model_validate({"log_format": log_format, "log_file": log_file})
    assert settings.logs_json is is_json


@pytest.mark.parametrize("text", ["7", "7w", "-1d", "", "d"])
def test_a_duration_that_is_no_setting_needs_its_unit(text: str) -> None:
    assert parse_duration(" 1.5h ") == timedelta(minutes=90)
    with pytest.raises(ValueError, match="write it as 90s, 5m, 12h or 40d"):
        parse_duration(text)


def test_a_node_is_named_by_its_host_unless_it_has_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default is always a valid name, whatever the machine is called."""
    assert Settings.model_validate({"node_name": "mx1.example.org"}).node_name == "mx1.example.org"
    for name, default in {
        "mx2": "mx2",
        "my mail\tsérver": "my-mail-s-rver",
        "x" * 70: "x" * 64,
        "": "localhost",
    }.items():
        monkeypatch.setattr("socket.gethostname", lambda name=name: name)
        assert Settings().node_name == default
        assert Settings.model_validate({"node_name": Settings().node_name}).node_name == default


@pytest.mark.parametrize("text", ["", "mx 1", "m\u00fcx", "mx\x1b1", "x" * 65])
def test_what_is_no_node_name(text: str) -> None:
    with pytest.raises(ValidationError, match="is not a node's name: write 1 to 64 printable ASCII characters"):
        Settings.model_validate({"node_name": text})
