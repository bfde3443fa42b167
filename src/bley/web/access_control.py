"""Access control for `web_listen`, and the security headers of its responses.

A request is answered only if all of these hold (`docs/dashboard.md` describes them for operators):
1) its method is GET or HEAD, or POST for an action where `web_actions` is on;
2) the peer is on this machine, or a password is set, or the peer is in `web_proxy`;
3) its Host header is a name of this server: otherwise a page of another site could read ours by DNS rebinding;
4) it carries the password, if one is set: for an action the password itself.
The paths of `health` are exempt from 2 to 4: they reveal only whether bley is healthy. The password is required on this
machine too, because a reverse proxy there looks like any other local program. bley's own commands instead prove that
they can read the file with the hash (`settings/web_password.py`).
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from bley.core.endpoint import without_brackets
from bley.core.mail import Address, parse_address
from bley.settings.file import Configuration
from bley.web import health
from bley.web.password_gate import PasswordGate, TooManyAttemptsError, user_name

__all__ = ["ACTIONS", "HEADERS", "USER", "AccessControl"]

ACTIONS = "/act/"
"""The prefix of the paths of actions."""
USER = web.RequestKey("user", str)
"""The user of an admitted request, for the audit: the name that the browser sent, and the client's address."""

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with no-referrer, browsers send "Origin: null" with a form
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Headers of every response. `Cache-Control: no-store` is added unless the handler sets another value."""

_PATHS_WITHOUT_MAIL = frozenset({"/listeners", "/lists", "/metrics"})
"""Paths that this machine may request without the proxy: they show no addresses of mail."""
_METHODS = frozenset({hdrs.METH_GET, hdrs.METH_HEAD})
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\s:\[\]@/%]+?)\.?(?::(\d{1,5}))?", re.IGNORECASE)
_HIGHEST_PORT = 65535
_CHALLENGE = {"WWW-Authenticate": 'Basic realm="bley", charset="UTF-8"'}


@dataclass(frozen=True, slots=True)
class _Addresses:
    """Both addresses of a connection."""

    peer: Address
    own: Address

    @property
    def is_one_machine(self) -> bool:
        return self.peer.is_loopback or self.peer == self.own


class AccessControl:
    """Decides which requests are answered. Until `reconfigure`, only requests from this machine are."""

    def __init__(self, gate: PasswordGate | None = None) -> None:
        self._gate = gate or PasswordGate()
        self._hosts: frozenset[str] = frozenset()
        self._proxies: tuple[IPv4Network | IPv6Network, ...] = ()
        self._has_password = self._has_actions = False

    def reconfigure(self, configuration: Configuration) -> None:
        """Apply these settings to all later requests."""
        self._hosts = frozenset(configuration.settings.web_hosts)
        self._proxies = configuration.settings.web_proxy
        self._has_password = configuration.web_password is not None
        self._has_actions = configuration.settings.web_actions and self._has_password
        self._gate.set_password(configuration.web_password)

    def protect(self, application: web.Application) -> None:
        """Check every request of the application, and add the headers to every response."""
        application.middlewares.append(self._check)
        application.on_response_prepare.append(_add_headers)

    @web.middleware
    async def _check(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        resource = request.match_info.route.resource
        path = resource.canonical if resource else ""
        acts = request.method == hdrs.METH_POST and self._has_actions and path.startswith(ACTIONS)
        if request.method not in _METHODS and not acts:
            raise web.HTTPMethodNotAllowed(request.method, _METHODS)
        if path not in health.PATHS:
            addresses = _addresses(request)
            self._check_peer(addresses, path)
            self._check_host(request.headers.getall(hdrs.HOST, []), addresses)
            client = self._client(addresses.peer, request.headers.getall(hdrs.X_FORWARDED_FOR, []))
            authorization = request.headers.get(hdrs.AUTHORIZATION, "")
            await self._check_password(authorization, client)
            user = user_name(authorization)
            if acts and user is None:
                raise web.HTTPForbidden(text="an action needs the password, not the proof of bley's own commands\n")
            request[USER] = f"{user} from {client}" if user else str(client)
        return await handler(request)

    def _check_peer(self, addresses: _Addresses, path: str) -> None:
        if self._proxies:
            if not self._is_proxy(addresses.peer) and not (addresses.is_one_machine and path in _PATHS_WITHOUT_MAIL):
                raise web.HTTPForbidden(text="connect through the reverse proxy\n")
        elif not self._has_password and not addresses.is_one_machine:
            # No start permits this, but a reload may remove the password while the socket stays open until a restart.
            raise web.HTTPForbidden(text="connect from the machine that runs bley\n")

    def _check_host(self, hosts: list[str], addresses: _Addresses) -> None:
        if len(hosts) != 1 or not self._is_own_name(hosts[0], addresses):
            raise web.HTTPForbidden(text="use the address of web_listen, localhost, or a name in web_hosts\n")

    def _is_own_name(self, host_and_port: str, addresses: _Addresses) -> bool:
        match = _HOST.fullmatch(host_and_port)
        if not match or int(match[2] or 0) > _HIGHEST_PORT:
            return False
        host = without_brackets(match[1]).lower()
        address = parse_address(host)
        if address is None:
            return host == "localhost" or host in self._hosts
        return address.is_loopback or address == addresses.own or str(address) in self._hosts

    def _is_proxy(self, address: Address) -> bool:
        return any(address in network for network in self._proxies)

    def _client(self, peer: Address, forwarded: list[str]) -> Address:
        """Return the address to which wrong passwords are attributed: the last in X-Forwarded-For that is no proxy.

        Each proxy appends the address of its peer. Everything before that was sent by the client and may be forged;
        from a peer that is not in `web_proxy`, that is the whole header.
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
            raise web.HTTPUnauthorized(text="password required\n", headers=_CHALLENGE)


def _forwarded_address(text: str) -> Address | None:
    """Parse an address; some proxies append a port."""
    match = _HOST.fullmatch(text)
    return parse_address(without_brackets(match[1]) if match else text)


def _addresses(request: web.Request) -> _Addresses:
    names = [request.transport.get_extra_info(name) if request.transport else None for name in ("peername", "sockname")]
    addresses = [parse_address(name[0]) if name else None for name in names]
    match addresses:
        case [peer, own] if peer and own:
            return _Addresses(peer, own)
    raise web.HTTPForbidden(text="the client has disconnected\n")


async def _add_headers(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)
    response.headers.setdefault(hdrs.CACHE_CONTROL, "no-store")
    response.headers.pop(hdrs.SERVER, None)
