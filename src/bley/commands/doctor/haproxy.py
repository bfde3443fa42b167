"""A proxy in front of Postfix: both must agree on the PROXY protocol, else clients are hidden or all mail fails.

Sources: POSTSCREEN_README, postconf(5), haproxy's configuration manual, section 5.2 (send-proxy).
"""

from collections.abc import Iterator, Mapping

from bley.commands.doctor.finding import Finding, fault, note, warning
from bley.commands.doctor.postfix_remedy import edit_command
from bley.commands.doctor.postfix_settings import PostfixSettings, Service

__all__ = ["examine_proxy", "parse_haproxy"]

_SUBJECT = "postfix"
_SMTP_PORT = 25
_SENDS = ("send-proxy", "send-proxy-v2")
_SEND = "add `send-proxy-v2` to its server line in /etc/haproxy/haproxy.cfg"


def examine_proxy(
    settings: PostfixSettings, service: Service, haproxy: Mapping[int, bool], folder: str = ""
) -> Iterator[Finding]:
    """Compare the upstream protocol with haproxy's servers on this machine: by port, whether it sends PROXY lines."""
    is_behind_postscreen = service.kind == "pass"
    name = ("postscreen" if is_behind_postscreen else "smtpd") + "_upstream_proxy_protocol"
    expects, sends = settings.get(name, service) == "haproxy", haproxy.get(_port_of(settings, service))
    owner = None if is_behind_postscreen else service
    set_it = edit_command(owner, {name: "haproxy"}, folder)
    if is_behind_postscreen and not expects and settings.get("smtpd_upstream_proxy_protocol", service) == "haproxy":
        what = "smtpd_upstream_proxy_protocol = haproxy, but postscreen receives the connections"
        yield fault(
            _SUBJECT, what, "postscreen takes the line of the proxy for a command, and rejects all mail", set_it
        )
    elif sends and not expects:
        why = "Postfix takes the line of the proxy for a command, and rejects all mail"
        yield fault(_SUBJECT, f"haproxy sends the PROXY protocol, without {name}", why, set_it)
    elif sends is False and expects:
        what = f"{name} = haproxy, but haproxy does not send the PROXY protocol"
        yield fault(_SUBJECT, what, "Postfix waits for the line of the proxy, and accepts no mail", _SEND)
    elif sends is False:
        why = "all clients have the address of the proxy: one spammer that retries makes all others known"
        what = f"haproxy stands in front of Postfix, without {name}"
        yield warning(_SUBJECT, what, why, f"{_SEND}, and run: {set_it}")
    elif expects and sends is None:
        yield note(_SUBJECT, f"{name} = haproxy: clients connect through a proxy")


def _port_of(settings: PostfixSettings, service: Service) -> int:
    """Return the port on which clients reach this service; behind postscreen, that of postscreen."""
    if service.kind == "pass":
        service = next((each for each in settings.services if each.program == "postscreen"), service)
    port = service.name.rpartition(":")[2]
    return int(port) if port.isdecimal() else _SMTP_PORT


def parse_haproxy(text: str) -> dict[int, bool]:
    """Return the ports of the servers in haproxy.cfg, and whether each gets PROXY lines."""
    servers: dict[int, bool] = {}
    in_defaults = by_default = of_defaults = False
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        sends = any(word in _SENDS for word in words)
        match words:
            case ["defaults" | "backend" | "listen" as section, *_]:
                in_defaults = section == "defaults"
                by_default = of_defaults = of_defaults and not in_defaults
            case ["default-server", *_]:
                by_default = sends
                of_defaults = sends if in_defaults else of_defaults
            case ["server", _, address, *_] if (port := address.rpartition(":")[2]).isdecimal():
                servers[int(port)] = sends or by_default
    return servers
