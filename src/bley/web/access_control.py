"""Who may see what is shown at `web_listen`, and what browsers are told to do with it.

Each of these must hold, and `docs/dashboard.md` tells them to people:
1) only reading: GET and HEAD;
2) the peer is on this machine; or a password is asked for; or it is in `web_proxy`, the reverse proxy that asks for it;
3) it asks by a name of ours: a page of a stranger's, whose name leads here, must not read ours (DNS rebinding);
4) it says the password, where there is one.
Whether bley lives is no secret: OPEN_PATHS are answered to everybody.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from bley.core.mail import Address, parse_address
from bley.settings.file import Configuration
from bley.web.password_gate import PasswordGate, TooManyAttemptsError

__all__ = ["HEADERS", "OPEN_PATHS", "AccessControl"]

OPEN_PATHS = frozenset({"/healthz", "/readyz"})
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Of every answer; so is `Cache-Control: no-store`, unless the page says otherwise: a style sheet may be kept."""

_FIGURES = frozenset({"/lists", "/metrics"})
"""No mail is in these: who is on this machine need not come through the proxy for them."""
_METHODS = frozenset({hdrs.METH_GET, hdrs.METH_HEAD})
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\s:\[\]@/%]+?)\.?(?::(\d{1,5}))?", re.IGNORECASE)
_LAST_PORT = 65535
_CHALLENGE = {"WWW-Authenticate": 'Basic realm="bley", charset="UTF-8"'}


@dataclass(frozen=True, slots=True)
class _Addresses:
    """Of a connection."""

    peer: Address
    own: Address

    @property
    def is_one_machine(self) -> bool:
        return self.peer.is_loopback or self.peer == self.own


class AccessControl:
    """Who may see it. As it is made, it is for this machine."""

    def __init__(self, gate: PasswordGate | None = None) -> None:
        self._gate = gate or PasswordGate()
        self._hosts: frozenset[str] = frozenset()
        self._proxies: tuple[IPv4Network | IPv6Network, ...] = ()
        self._has_password = False

    def take(self, configuration: Configuration) -> None:
        """Go by these settings from now on."""
        self._hosts = frozenset(configuration.settings.web_hosts)
        self._proxies = configuration.settings.web_proxy
        self._has_password = configuration.web_password is not None
        self._gate.take(configuration.web_password)

    def guard(self, application: web.Application) -> None:
        """Let only who may to its pages."""
        application.middlewares.append(self._only_who_may)
        application.on_response_prepare.append(_put_headers)

    @web.middleware
    async def _only_who_may(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method not in _METHODS:
            raise web.HTTPMethodNotAllowed(request.method, _METHODS)
        resource = request.match_info.route.resource
        path = resource.canonical if resource else ""
        if path not in OPEN_PATHS:
            ends = _ends(request)
            self._check_peer(ends, path)
            self._check_host(request.headers.getall(hdrs.HOST, []), ends)
            client = self._client(ends.peer, request.headers.getall(hdrs.X_FORWARDED_FOR, []))
            await self._check_password(request.headers.get(hdrs.AUTHORIZATION, ""), client)
        return await handler(request)

    def _check_peer(self, ends: _Addresses, path: str) -> None:
        if self._proxies:
            if not self._is_proxy(ends.peer) and not (ends.is_one_machine and path in _FIGURES):
                raise web.HTTPForbidden(text="ask through the reverse proxy\n")
        elif not self._has_password and not ends.is_one_machine:
            # The settings forbid it; but a reload may have taken the password away from a place that needs a restart.
            raise web.HTTPForbidden(text="ask on the machine of bley\n")

    def _check_host(self, hosts: list[str], ends: _Addresses) -> None:
        if len(hosts) != 1 or not self._is_own_name(hosts[0], ends):
            raise web.HTTPForbidden(text="ask by the address of web_listen, as localhost, or by a name of web_hosts\n")

    def _is_own_name(self, host_and_port: str, ends: _Addresses) -> bool:
        match = _HOST.fullmatch(host_and_port)
        if not match or int(match[2] or 0) > _LAST_PORT:
            return False
        host = match[1].strip("[]").lower()
        address = parse_address(host)
        if address is None:
            return host == "localhost" or host in self._hosts
        return address.is_loopback or address == ends.own or str(address) in self._hosts

    def _is_proxy(self, address: Address) -> bool:
        return any(address in network for network in self._proxies)

    def _client(self, peer: Address, forwarded: list[str]) -> Address:
        """Return the address whose passwords are counted: the last one in X-Forwarded-For that is no proxy of ours.

        Each proxy adds the address of its peer behind those that were there. What stands before was sent by the client,
        which may write anything; from a peer that is no proxy the whole header is the client's.
        """
        client = peer
        for text in reversed(",".join(forwarded).split(",")):
            if not self._is_proxy(client) or not (address := _forwarded_address(text.strip())):
                break
            client = address
        return client

    async def _check_password(self, authorization: str, client: Address) -> None:
        try:
            is_admitted = await self._gate.admits(authorization, client)
        except TooManyAttemptsError as error:
            raise web.HTTPTooManyRequests(text=f"{error}\n", headers={hdrs.RETRY_AFTER: "2"}) from error
        if not is_admitted:
            raise web.HTTPUnauthorized(text="the password, please\n", headers=_CHALLENGE)


def _forwarded_address(text: str) -> Address | None:
    """Read an address, to which some proxies add the port."""
    match = _HOST.fullmatch(text)
    return parse_address(match[1].strip("[]") if match else text)


def _ends(request: web.Request) -> _Addresses:
    names = [request.transport.get_extra_info(name) if request.transport else None for name in ("peername", "sockname")]
    addresses = [parse_address(name[0]) if name else None for name in names]
    match addresses:
        case [peer, own] if peer and own:
            return _Addresses(peer, own)
    raise web.HTTPForbidden(text="who asks has gone\n")


async def _put_headers(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)
    response.headers.setdefault(hdrs.CACHE_CONTROL, "no-store")
    response.headers.pop(hdrs.SERVER, None)
