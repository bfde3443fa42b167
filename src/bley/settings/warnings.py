"""Warnings about valid settings: `bley check-config` prints them, and `bley serve` logs them at start and reload."""

import re
import stat
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import chain, islice

from bley.core.dnslists.lists import DnsList
from bley.core.errors import Fault
from bley.core.exemptions.first_list import FirstList
from bley.core.findings import RFC_CHECKS, Check
from bley.core.scores import MOST
from bley.settings.foreign import find_mark
from bley.settings.ini_file import IniFile, IniSection
from bley.settings.sections import Section
from bley.settings.settings import Settings
from bley.settings.values import shown_duration

__all__ = ["find_hidden_recipients", "find_section_warnings", "find_warnings"]

_TEMPLATES = ("reject_msg", "greylist_header")
_PATHS = tuple(key for key in Settings.model_fields if key.endswith(("_file", "path", "dir", "_cert", "_key", "_ca")))
_NO_FILE = re.compile(
    r"(?:none|off|no|false|0|std(?:out|err)|console|journal|journalctl|systemd)$|syslog:", re.IGNORECASE
)
"""Words that other programs do not take for the name of a file."""
_LONG_PERIOD = timedelta(hours=1)
_MOST_COMPARED = 1000
"""Recipients of a section that are looked up in earlier ones, 8 us each. A file of 100,000 would double its reading."""
_SECRETS = ("dbpass", "database", "dbuser")


def find_warnings(settings: Settings, ini: IniFile) -> Iterator[Fault]:
    """Yield a warning with its place for each setting that is valid but hardly meant."""
    yield from _doubled_percents(ini)
    yield from _marks(ini)
    yield from _unexpanded(settings, ini)
    yield from _long_waits(settings, ini)
    for what in _reply_warnings(settings.reject_msg):
        yield ini.fault("reject_msg", f"reject_msg {what}")
    for key, lists in settings.dns_lists.items():
        for dns_list in lists:
            for what in _about_list(key, dns_list):
                yield ini.fault(key, f"{key}: {what}")
    yield from _unreachable_thresholds(settings, ini)
    if any(network.prefixlen == 0 for network in settings.trusted_networks):
        yield ini.fault("trusted_networks", "trusted_networks includes every address: no mail is delayed")
    yield from _bare_password(settings, ini)
    yield from _useless_group(settings, ini)


def find_section_warnings(settings: Settings, section: IniSection) -> Iterator[Fault]:
    """Yield the warnings about the settings of a section for recipients."""
    if settings.mode == "off" and "mode" not in section.texts:
        yield section.fault("match", "match: mode = off of [bley] is in force here too: write mode = enforce")
    yield from _long_waits(settings, section)
    yield from _unreachable_thresholds(settings, section)


def find_hidden_recipients(sections: Sequence[Section], ini: IniFile) -> Iterator[Fault]:
    """Yield a warning for each section with a recipient that an earlier section has too."""
    section_of = FirstList([section.recipients for section in sections])
    for place, section in enumerate(sections):
        domains = (f"@{name}" for name in section.recipients.names)
        addresses = (address for address in section.recipients.addresses if not address.endswith("@"))
        for recipient in islice(chain(addresses, domains), _MOST_COMPARED if place else 0):
            first = section_of.find(recipient)
            if first is not None and first < place:
                text = f"match: {recipient} is in [recipients {sections[first].name}] too, which comes first"
                yield ini.recipients[section.name].fault("match", text)
                break


def _doubled_percents(ini: IniFile) -> Iterator[Fault]:
    """Warn of each %% outside of templates: bley 2 read it as one percent sign everywhere."""
    what = "has %%, which bley 2 read as one %: write one % if that is meant"
    for key, text in ini.texts.items():
        if "%%" in text and key not in _TEMPLATES:
            yield ini.fault(key, f"{key} {what}")


def _marks(ini: IniFile) -> Iterator[Fault]:
    """Warn of quotes around a text and of marks after it, which are parts of the value."""
    for key, text in ini.texts.items():
        if key not in _SECRETS and (mark := find_mark(text)) and not (key in _TEMPLATES and "quotes" not in mark):
            yield ini.fault(key, f"{key}: {mark}")


def _unexpanded(settings: Settings, ini: IniFile) -> Iterator[Fault]:
    """Warn of words that a shell or another program would expand, or read as no value."""
    for key in _PATHS:
        if re.search(r"^~|\$|%\(", ini.texts.get(key, "")):
            what = "a file name is taken as it is: write it without ~, variables and placeholders"
            yield ini.fault(key, f"{key}: {what}")
    if _NO_FILE.match(settings.log_file):
        what = "is the name of a file here: write -, syslog or journald for another destination"
        yield ini.fault("log_file", f"log_file {what}")
    for key in ("pid_file", "destdir"):
        if _NO_FILE.fullmatch(name := getattr(settings, key)):
            yield ini.fault(key, f"{key} = {name} is the name of a file here: write nothing after = for none")
    if re.fullmatch(r"[^:/]+:\d+", settings.dbhost):
        yield ini.fault("dbhost", "dbhost has a port: write it as dbport")
    if re.search(r"[^\W_]", settings.recipient_delimiter):
        what = "has letters or digits, each of which cuts addresses: write +, or nothing for none"
        yield ini.fault("recipient_delimiter", f"recipient_delimiter {what}")


def _long_waits(settings: Settings, ini: IniSection) -> Iterator[Fault]:
    """Warn of a period that is probably meant in seconds, as in postgrey, and of one that `greylist_max` cuts."""
    period, most = settings.greylist_period, settings.greylist_max
    text = ini.texts.get("greylist_period", "")
    if period >= _LONG_PERIOD and text.isdecimal():
        what = f"is {shown_duration(period)}, since its unit is the minute: write {text}s for seconds, or a unit"
        yield ini.fault("greylist_period", f"greylist_period = {text} {what}")
    if period > most and ini.texts.keys() & {"greylist_period", "greylist_max"}:
        place = "greylist_period" if text else "greylist_max"
        what = f"{shown_duration(period)} is longer than greylist_max, {shown_duration(most)}, which is the wait then"
        yield ini.fault(place, f"greylist_period = {what}")


def _reply_warnings(text: str) -> Iterator[str]:
    """Warn of a text that begins as a whole reply or action: Postfix writes code and status before it."""
    if re.match(r"[2356]\.\d{1,3}\.\d{1,3}(?!\S)", text):
        yield "begins with the status of another reply: a deferral has 4.7.1, or none here"
    elif re.fullmatch(r"4\.\d{1,3}\.\d{1,3}", text):
        yield "has only a status: write a text after it"
    elif re.match(r"[245]\d\d[ -]", text):
        yield "begins with a reply code, which Postfix writes itself: write the text alone"
    elif re.match(r"(?:action=)?(?:DEFER(?:_IF_\w+)?|REJECT|DUNNO|PREPEND|OK)(?:\s|$)", text):
        yield "begins with an action, which bley writes itself: write the text alone"


def _about_list(key: str, dns_list: DnsList) -> Iterator[str]:
    """Warn of a dead list, of one among those of another kind, and of negative weights that are hardly meant."""
    facts, kind = dns_list.facts, dns_list.facts.lists
    if facts.status == "dead":
        remedy = f"it is not queried: use {facts.instead} instead"
        yield f"{dns_list.name} has been dead since {facts.since}: it {facts.how}; {remedy}"
    elif facts.source and dns_list.is_of_domains and not facts.domains:
        yield f"{dns_list.name} is known as a list of addresses: write it in {_place(kind)}"
    elif facts.source and not dns_list.is_of_domains and not facts.versions:
        yield f"{dns_list.name} is a list of domains, and is not queried here: write it in domain_lists"
    elif facts.source and dns_list.most > 0 and (key, kind) == ("dnsbls", "allowlist"):
        yield f"{dns_list.name} is an allowlist, and delays its clients here: write it in dnswls"
    elif facts.source and dns_list.most > 0 and (key, kind) == ("dnswls", "blocklist"):
        yield f"{dns_list.name} is a blocklist, and lets its clients pass here: write it in dnsbls"
    for entry in dns_list.entries:
        if facts.filter and entry.filter is None and dns_list.is_of_domains:
            what = "has codes of good domains that are abused, and all count"
            yield f"{dns_list.name} {what}: write {dns_list.name}={facts.filter}{entry.rest}"
        if entry.weight < 0 and key == "dnswls" and not (facts.source and kind == "blocklist"):
            what = "has a negative weight, which counts against its clients in dnswls, other than in postscreen"
            yield f"{dns_list.name}{entry.rest} {what}: remove the minus sign"
        if entry.weight < 0 and key == "domain_lists":
            what = "has a negative weight, and anyone can forge a sender of a domain that it lists"
            yield f"{dns_list.name}{entry.rest} {what}: remove the minus sign"


def _unreachable_thresholds(settings: Settings, ini: IniSection) -> Iterator[Fault]:
    """Warn of each threshold that nothing can reach. The highest possible threshold is meant so."""
    dnswls = sum(abs(entry.weight) for each in settings.dnswls if _is_queried(each) for entry in each.entries)
    deferring = (*settings.dnsbls, *settings.domain_lists)
    checks = [check for check in RFC_CHECKS if settings.use_spf or check is not Check.SPF]
    sums = (
        ("dnsbl_threshold", ("dnsbls", "domain_lists"), sum(each.most for each in deferring if _is_queried(each))),
        ("dnswl_threshold", ("dnswls",), dnswls),  # a negative weight has its own warning
        ("rfc_threshold", ("scores",), settings.scores.most(checks)),
    )
    for threshold, all_keys, most in sums:
        value, keys = getattr(settings, threshold), [key for key in all_keys if getattr(settings, key)]
        if ini.texts.keys() & {threshold, *all_keys, "use_spf"} and keys and most < value < MOST:
            what = "all scores" if "scores" in keys else f"the weights of the living lists of {' and '.join(keys)}"
            place = next((key for key in (threshold, *keys) if key in ini.lines), keys[0])
            yield ini.fault(place, f"{threshold} = {value} is never reached: {what} add up to {most}")


def _place(kind: str) -> str:
    return {"blocklist": "dnsbls", "allowlist": "dnswls"}.get(kind, "dnsbls or dnswls")


def _is_queried(dns_list: DnsList) -> bool:
    return dns_list.facts.status != "dead" and bool(dns_list.versions)


def _bare_password(settings: Settings, ini: IniFile) -> Iterator[Fault]:
    """Warn of a web password that other machines send without TLS."""
    if settings.web_password_file and settings.web_is_open and not settings.web_tls_cert:
        what = "the password is sent over the network unencrypted"
        remedy = "set web_tls_cert, or listen at a loopback address behind a reverse proxy with TLS"
        yield ini.fault("web_listen", f"web_listen: {what}: {remedy}")


def _useless_group(settings: Settings, ini: IniFile) -> Iterator[Fault]:
    """Warn of a `listen_group` that opens no socket to the group."""
    if not settings.listen_group:
        return
    if not any(address.startswith("unix:") for address in settings.listen_addr):
        yield ini.fault("listen_group", "listen_group: has no effect: listen_addr names no unix:PATH")
    elif not settings.listen_mode & stat.S_IWGRP:
        text = f"listen_mode: {settings.listen_mode:04o} lets the group {settings.listen_group} not connect: write 0660"
        yield ini.fault("listen_mode", text)
