"""Keys and values as other programs write them, and the correct form.

Sources: postgrey(8), sqlgrey.conf, the options of rspamd's module greylist, greylist.conf(5), greylistd's config.
"""

import difflib
import re
from collections.abc import Collection

__all__ = ["find_mark", "suggest_key"]

_SAME_MEANING = {
    "greylist_period": "delay greylist_delay reconnect_delay retry_min retrymin",
    "greylist_max": "retry_max retrymax",
    "purge_days": "max_age awl_age expire autowhite auto_whitelist_age",
    "purge_bad_days": "retry_window max_connect_age",
    "reject_msg": "greylist_text message reject_message greylist_message",
    "greylist_header": "x_greylist_header prepend prepend_header header",
    "whitelist_clients_file": "whitelist_clients clients_ip_whitelist clients_fqdn_whitelist whitelist_hosts",
    "whitelist_recipients_file": "whitelist_recipients",
    "whitelist_senders_file": "whitelist_senders whitelist_domains_url whitelist_domains",
    "trusted_networks": "whitelisted_ip mynetworks trusted_nets own_networks",
    "dnsbls": "dnsbl rbl rbls dnslists reject_rbl_client postscreen_dnsbl_sites rbl_domains",
    "dnswls": "dnswl permit_dnswl_client",
    "domain_lists": (
        "rhsbl rhsbls dbl uribl uribls surbl surbls domain_dnsbls domain_list domainlists "
        "reject_rhsbl_sender reject_rhsbl_helo reject_rhsbl_client reject_rhsbl_reverse_client"
    ),
    "dnsbl_threshold": "postscreen_dnsbl_threshold",
    "dnswl_threshold": "postscreen_dnsbl_allowlist_threshold postscreen_dnsbl_whitelist_threshold",
    "greylist_by": "lookup_by_subnet lookup_by_host greymethod",
    "ipv4_prefix": "ipv4cidr ipv4_mask subnetmatch",
    "ipv6_prefix": "ipv6cidr ipv6_mask subnetmatch6",
    "listen_addr": "inet unix listen socket bind address bind_address",
    "listen_port": "port",
    "listen_group": "group socket_group",
    "listen_mode": "socket_mode",
    "auto_known": "auto_whitelist_clients group_domain_level",
    "log_file": "syslog_facility log_dir logfile log",
    "pid_file": "pidfile",
    "dbtype": "db_type",
    "dbname": "db_name db_file",
    "dbpath": "dbdir db_dir conf_dir",
    "dbhost": "db_host",
    "dbport": "db_port",
    "dbuser": "db_user",
    "dbpass": "db_pass db_password",
    "database": "servers db_url dsn",
    "recipient_delimiter": "delimiter",
    "resolver": "nameserver nameservers dns",
    "exim_workaround": "exim",
    "mode": "training_mode observe dry_run",
}
"""The words of other programs, by the setting of the same meaning."""

_SETTING = {word: setting for setting, words in _SAME_MEANING.items() for word in words.split()}

_QUOTED = re.compile("\"[^\"]*\"|'[^']*'|[\u2018\u201a\u201c\u201e\u00ab].*[\u2018\u2019\u201c\u201d\u00bb]")
"""Text in quotes, also in those of word processors and web pages."""

_OF_SOME_RECIPIENTS = re.compile(r"(grey|only).*recipient.*|opt_?(in|out|method).*|recipients?(_(file|list|map)s?)?")
"""Keys about greylisting of some recipients only. The setting of the most similar name would exempt them."""

_UNITS = {"greylist_period": "minutes", "greylist_max": "minutes", "purge_days": "days", "purge_bad_days": "days"}
"""The units of these durations, which other programs count in others."""


def suggest_key(key: str, settings: Collection[str]) -> str:
    """Return the rest of a fault about an unknown key: the setting that it may mean."""
    word = key.lower().lstrip("-").replace("-", "_")
    if (meant := _SETTING.get(word)) and meant in settings:
        unit = f", in {_UNITS[meant]} or with a unit" if meant in _UNITS else ""
        return f": write {meant}{unit}"
    if _OF_SOME_RECIPIENTS.fullmatch(word):
        return ": a section [recipients NAME] has the rules of some recipients"
    if word == "user":
        return ": bley keeps the user that starts it, the User= of its systemd unit"
    if not meant and (close := difflib.get_close_matches(word, settings, n=1, cutoff=0.6)):
        return f", did you mean {close[0]!r}?"
    return ": see docs/settings.md for all keys"


def find_mark(text: str) -> str:
    """Return what is wrong with marks around or after a value, as other files have them; empty if there are none."""
    if _QUOTED.fullmatch(text):
        return "quotes are part of a value: remove them"
    if re.search(r"\s[#;]", text):
        return "a comment needs a line of its own"
    if text.endswith((";", "\\")):
        return f"{text[-1]} is part of a value: remove it"
    return ""
