"""Settings of Postfix that disturb bley, outside of its lists: milters that greylist, postscreen's tests, XCLIENT.

Sources: POSTSCREEN_README, XCLIENT_README, MILTER_README, postconf(5).
"""

import re
import shlex
from collections.abc import Iterator

from bley.commands.doctor.finding import Finding, fault, note, warning
from bley.commands.doctor.postfix_remedy import edit_command
from bley.commands.doctor.postfix_settings import PostfixSettings, Service, split_list

__all__ = [
    "examine_early_rejects",
    "examine_handover",
    "examine_milters",
    "examine_networks",
    "examine_postscreen",
    "examine_xclient",
]

_SUBJECT = "postfix"
_TWICE = "mail waits twice, once for each greylister"


_MILTER_GREYLISTER = re.compile("greylist")
_RSPAMD = re.compile(r":1133[24]$|rspamd|rmilter")
_RSPAMD_OFF = re.compile(r"^\s*enabled\s*=\s*(?:false|no|off)\b", re.MULTILINE | re.IGNORECASE)
_RSPAMD_FILE = "/etc/rspamd/local.d/greylist.conf"

_DEEP_TESTS = {
    "postscreen_pipelining_enable": "pipelining",
    "postscreen_non_smtp_command_enable": "non-SMTP command",
    "postscreen_bare_newline_enable": "bare newline",
}


def examine_milters(
    settings: PostfixSettings, service: Service, rspamd: str | None, folder: str = ""
) -> Iterator[Finding]:
    """Yield the milters that greylist; `rspamd` is the text of its greylist.conf files, None if it is not here."""
    milters = split_list(settings.get("smtpd_milters", service))
    for milter in milters:
        if _MILTER_GREYLISTER.search(milter.lower()):
            others = ", ".join(each for each in milters if each != milter)
            remedy = edit_command(service, {"smtpd_milters": others}, folder)
            yield warning(_SUBJECT, f"a milter greylists too: {milter}", _TWICE, remedy)
        elif _RSPAMD.search(milter.lower()) and not _RSPAMD_OFF.search(rspamd or ""):
            remedy = f"echo 'enabled = false;' >>{_RSPAMD_FILE} && systemctl reload rspamd"
            what = f"rspamd ({milter}) greylists too, as far as {_RSPAMD_FILE} shows"
            yield warning(_SUBJECT, what, f"it does so by default, where it has a Redis: {_TWICE}", remedy)


def examine_postscreen(settings: PostfixSettings, folder: str = "") -> Iterator[Finding]:
    """Yield postscreen's tests after the greeting: a client that passes them is disconnected, and must come back."""
    if not any(service.program == "postscreen" for service in settings.services):
        return
    if active := [name for name in _DEEP_TESTS if settings.get(name) == "yes"]:
        what = f"postscreen's deep protocol tests are on: {', '.join(_DEEP_TESTS[name] for name in active)}"
        why = "they defer each new client once (450 4.3.2), and then bley delays its mail again"
        yield warning(_SUBJECT, what, why, edit_command(None, dict.fromkeys(active, "no"), folder))


def examine_handover(settings: PostfixSettings, folder: str = "") -> Iterator[Finding]:
    """Yield whether postscreen can pass clients to smtpd."""
    kinds = {(service.program, service.kind) for service in settings.services}
    if ("postscreen", "inet") in kinds and ("smtpd", "pass") not in kinds:
        option = f" -c {shlex.quote(folder)}" if folder else ""
        remedy = f"postconf{option} -M 'smtpd/pass=smtpd pass - - y - - smtpd' && postfix{option} reload"
        yield fault(
            _SUBJECT, "postscreen has no service smtpd/pass", "clients that pass its tests get no answer", remedy
        )


def examine_networks(settings: PostfixSettings, service: Service, folder: str = "") -> Iterator[Finding]:
    """Yield networks that make every client one's own."""
    words = split_list(settings.get("mynetworks", service))
    if every := [word for word in words if word.endswith("/0") and not word.startswith("!")]:
        kept = ", ".join(word for word in words if word not in every)
        why = "every client is one of your own: Postfix relays for all, and never queries bley"
        remedy = edit_command(service, {"mynetworks": kept}, folder)
        yield fault(_SUBJECT, f"mynetworks has {', '.join(every)}", why, remedy)


def examine_early_rejects(settings: PostfixSettings, service: Service, folder: str = "") -> Iterator[Finding]:
    """Yield that clients may be rejected before bley is queried."""
    if settings.get("smtpd_delay_reject", service) == "no":
        why = "clients that are rejected before RCPT TO do not appear in the log of bley"
        remedy = edit_command(service, {"smtpd_delay_reject": "yes"}, folder)
        yield note(_SUBJECT, "smtpd_delay_reject = no", why, remedy)


def examine_xclient(settings: PostfixSettings, service: Service, folder: str = "") -> Iterator[Finding]:
    """Yield the hosts that may pretend to be any client."""
    name = "smtpd_authorized_xclient_hosts"
    if hosts := settings.get(name, service):
        why = "these hosts may name any client address, and so pass as a known one; a test may have left it"
        yield warning(_SUBJECT, f"{name} = {hosts}", why, edit_command(service, {name: ""}, folder))
