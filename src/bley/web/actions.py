"""The actions of the dashboard, where `web_actions` is on: let mail pass, forget it, exempt it.

A GET shows what would happen, and a POST does it. A POST needs, besides the password of every request:
1) a Sec-Fetch-Site header that says same-origin, if there is one, and an Origin header with the name of this server;
2) the token of a form of this process (form_tokens.py).
Then the response redirects to the page to which the action belongs, which shows what was done.
"""

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar
from urllib.parse import parse_qsl, urlsplit

from aiohttp import hdrs, web

from bley.core.errors import SettingsError, StoreError
from bley.core.history.story import Story
from bley.corrections.audit import Auditor
from bley.corrections.errors import CorrectionError, NotAuditedError
from bley.web.access_control import USER
from bley.web.action_links import ActionLink, links_of_decision, links_of_search
from bley.web.action_previews import Action, Notice, Preview
from bley.web.dashboard_data import DashboardData
from bley.web.form_tokens import FormTokens
from bley.web.list_action import ENDS, ListAction
from bley.web.record_action import RecordAction
from bley.web.rendering import render
from bley.web.urls import with_parameter
from bley.web.waiting import waiting_rows

__all__ = ["MAX_BYTES", "PATHS", "ActionBar", "Actions"]

PATHS = frozenset({"/act/pass", "/act/forget", "/act/allow", "/act/disallow"})

MAX_BYTES = 16_384
"""The body of a POST: the search text and the comment, each character percent-encoded, and the token take 6 kB."""
_MAX_FIELDS = 20
_BODY_SECONDS = 10.0
_ACTION_SECONDS = 20.0
"""The time limit of an action: a lock of the list files (5 s), then the store."""
_CLOSE_SECONDS = 5.0
_MOST_NOTICES = 100
_SHOWN_RECORDS = 50
_TYPED = frozenset({"until", "comment"})
"""Fields that the user fills in; the token covers all others."""

_T = TypeVar("_T")


class ActionBar(NamedTuple):
    """The part of a page about actions: links to them, and the notice of the last one."""

    links: Sequence[ActionLink] = ()
    notice: Notice | None = None


class Actions:
    """The handlers of all actions."""

    def __init__(self, data: DashboardData) -> None:
        self._data, self._tokens = data, FormTokens()
        self._notices: OrderedDict[str, Notice] = OrderedDict()
        self._lock = asyncio.Lock()
        self._running: set[asyncio.Task[Notice]] = set()

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of all actions."""
        gets = [web.get(path, self._show) for path in sorted(PATHS)]
        return [*gets, *(web.post(path, self._act) for path in sorted(PATHS))]

    async def close(self) -> None:
        """Wait for actions that run."""
        if self._running:
            await asyncio.wait(self._running, timeout=_CLOSE_SECONDS)

    def of_decision(self, request: web.Request, story: Story, *, has_records: bool) -> ActionBar:
        """Return the actions of a decision's page."""
        files = self._data.configuration.list_files
        return self._bar(request, lambda: links_of_decision(story, files, has_records=has_records))

    def of_search(self, request: web.Request, q: str, *, has_records: bool) -> ActionBar:
        """Return the actions of the page of a search."""
        return self._bar(request, lambda: links_of_search(q, has_records=has_records))

    def _bar(self, request: web.Request, links: Callable[[], list[ActionLink]]) -> ActionBar:
        if not self._data.configuration.settings.web_actions:
            return ActionBar()
        return ActionBar(links(), self._notices.get(request.query.get("done", "")))

    async def _show(self, request: web.Request) -> web.Response:
        self._require_setting()
        action = _build(lambda: self._action(request.path, {**request.query, "as_of": ""}))
        return await self._page(request, action)

    async def _act(self, request: web.Request) -> web.Response:
        self._require_setting()
        _check_origin(request, self._data.configuration.settings.web_hosts)
        values = await _read_form(request)
        fixed = {name: value for name, value in values.items() if name not in _TYPED}
        token = fixed.pop("token", "")
        if not self._tokens.is_valid(token, request.get(USER, ""), request.path, fixed):
            raise web.HTTPForbidden(
                text="nothing was changed: the form is older than an hour or than the last restart of bley, or it is "
                "not from this page; go back, reload the page, and confirm again\n"
            )
        action = _build(lambda: self._action(request.path, values))
        try:
            auditor = Auditor(self._data.configuration, request.get(USER, ""), self._data.clock)
            notice = await self._run(action, auditor)
        except NotAuditedError as error:
            notice = Notice(str(error))
        except (CorrectionError, SettingsError, StoreError) as error:
            return await self._page(request, action, error, values)
        location = with_parameter(action.back, "done", self._keep(notice))
        return web.Response(status=web.HTTPSeeOther.status_code, headers={hdrs.LOCATION: location})

    async def _run(self, action: Action, auditor: Auditor) -> Notice:
        """Carry out the action to its end, even if the client disconnects; one at a time."""

        async def run() -> Notice:
            try:
                async with asyncio.timeout(_ACTION_SECONDS), self._lock:
                    return await action.carry_out(auditor)
            except TimeoutError as error:
                why = f"no answer within {_ACTION_SECONDS:g} s; the change may have been made all the same"
                raise StoreError(f"{self._data.place}: {why}") from error

        task = asyncio.create_task(run())
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())  # its client may be gone
        return await asyncio.shield(task)

    def _keep(self, notice: Notice) -> str:
        """Keep a notice for the page that follows, and return its key: no link of a stranger can forge one."""
        key = secrets.token_urlsafe(9)
        self._notices[key] = notice
        if len(self._notices) > _MOST_NOTICES:
            self._notices.popitem(last=False)
        return key

    def _require_setting(self) -> None:
        if not self._data.configuration.settings.web_actions:
            raise web.HTTPForbidden(text="web_actions is off: set web_actions = 1 and web_password_file\n")

    def _action(self, path: str, values: Mapping[str, str]) -> Action:
        match path:
            case "/act/pass":
                return RecordAction(self._data, "pass", values)
            case "/act/forget":
                return RecordAction(self._data, "forget", values)
        return ListAction(self._data, values, removes=path == "/act/disallow")

    async def _page(
        self,
        request: web.Request,
        action: Action,
        error: Exception | None = None,
        values: Mapping[str, str] = {},
    ) -> web.Response:
        """Return the confirmation page, with the error that prevented the action."""
        try:
            preview = await action.preview()
        except (CorrectionError, SettingsError, StoreError) as refusal:
            error = error or refusal
            preview = Preview("bley cannot do this", "Nothing was changed", command=action.command)
        status = 200 if not error else 503 if isinstance(error, StoreError) else 409
        now = self._data.clock()
        text = await render(
            "action.html",
            path="",
            q="",
            action=action,
            preview=preview,
            error=error,
            token=self._tokens.make(request.get(USER, ""), action.path, action.fields),
            rows=waiting_rows(preview.records[:_SHOWN_RECORDS], self._data.configuration.timings, now),
            ends=ENDS,
            typed={name: values.get(name, "") for name in _TYPED},
            now=now,
        )
        headers = {hdrs.CACHE_CONTROL: "no-store"}
        return web.Response(text=text, content_type="text/html", status=status, headers=headers)


def _build(make: Callable[[], _T]) -> _T:
    """Return what `make` returns. Raises HTTPBadRequest if it raises ValueError."""
    try:
        return make()
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"{error}\n") from error


def _check_origin(request: web.Request, hosts: tuple[str, ...]) -> None:
    """Raise HTTPForbidden if a page of another site has sent this form."""
    origin, host = request.headers.get(hdrs.ORIGIN), urlsplit(f"//{request.headers.get(hdrs.HOST, '')}").hostname
    is_own = origin is None or urlsplit(origin).hostname in (host, *hosts)
    if not is_own or request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        raise web.HTTPForbidden(text="nothing was changed: the form was sent by another site\n")


async def _read_form(request: web.Request) -> dict[str, str]:
    """Return the fields of the form. Raises HTTPBadRequest, and HTTPRequestEntityTooLarge by aiohttp."""
    if request.content_type != "application/x-www-form-urlencoded":
        raise web.HTTPUnsupportedMediaType(text="nothing was changed: send the form of the page\n")
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            text = (await request.read()).decode()
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict"))
    except (ValueError, TimeoutError, ConnectionError) as error:  # the last one: the client has disconnected
        raise web.HTTPBadRequest(text="nothing was changed: the form is not complete, or not UTF-8\n") from error
