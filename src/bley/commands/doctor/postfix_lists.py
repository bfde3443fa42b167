"""Where Postfix's lists of restrictions query bley, in their order, and with which options.

Sources: postconf(5), smtpd_recipient_restrictions and its siblings; SMTPD_POLICY_README; SMTPD_ACCESS_README.
"""

import re
from collections.abc import Iterator, Sequence
from ipaddress import ip_network
from pathlib import Path
from typing import NamedTuple

from bley.commands.doctor.finding import Finding, fault, note, warning, well
from bley.commands.doctor.greylisters import find_greylister
from bley.commands.doctor.policy_place import BleyPlaces, Relation, reachable_places, relation
from bley.commands.doctor.postfix_remedy import BARRIERS, ENDS, RECIPIENT_LIST, edit_command, order_command, policy_text
from bley.commands.doctor.postfix_settings import (
    Policy,
    PostfixSettings,
    Restriction,
    Service,
    parse_restrictions,
    split_list,
)

__all__ = ["Step", "examine_order", "is_for_strangers", "steps_of"]

_SUBJECT = "postfix"
_EARLY = ("smtpd_client_restrictions", "smtpd_helo_restrictions", "smtpd_sender_restrictions")
_RELAY_LIST = "smtpd_relay_restrictions"
_LATE = ("smtpd_data_restrictions", "smtpd_end_of_data_restrictions")
_STRANGERS = re.compile(r"(?:.*:)?(?:smtp|25)")
_SHOWN_OPTIONS = ("timeout", "try_limit", "default_action")
_RESERVE_SECONDS = 4
_LONGEST_CLASS_NESTING = 5


class Step(NamedTuple):
    """A restriction of a service, in the order of evaluation, and how it relates to bley."""

    list_name: str
    restriction: Restriction
    relation: Relation = Relation.OTHER


def is_for_strangers(settings: PostfixSettings, service: Service) -> bool:
    """Return whether the service receives mail from strangers: no submission, and no way back from a filter."""
    if service.program != "smtpd" or service.kind not in ("inet", "pass"):
        return False
    if service.kind == "pass" or _STRANGERS.fullmatch(service.name):
        return True
    names = (*_EARLY, _RELAY_LIST, RECIPIENT_LIST)
    texts = (settings.get(name, service) for name in names)
    is_closed = any(each.name == "reject" for text in texts for each in parse_restrictions(text))
    return not is_closed and service.name not in ("submission", "submissions", "smtps", "465", "587")


def steps_of(settings: PostfixSettings, service: Service, bley: BleyPlaces) -> list[Step]:
    """Return all restrictions up to RCPT TO and after, in the order of evaluation; classes by their content."""
    pair = [_RELAY_LIST, RECIPIENT_LIST]
    if settings.get("smtpd_relay_before_recipient_restrictions", service) != "yes":
        pair.reverse()
    classes = set(split_list(settings.get("smtpd_restriction_classes", service)))
    queue, has_chroot = Path(settings.get("queue_directory")), settings.has_chroot(service)

    def expand(list_name: str, text: str, depth: int = 0) -> Iterator[Step]:
        for each in parse_restrictions(text):
            if each.name in classes and depth < _LONGEST_CLASS_NESTING:
                yield from expand(list_name, settings.get(each.name, service), depth + 1)
            elif each.is_policy:
                place = Policy.parse(each.argument).place
                yield Step(list_name, each, relation(place, bley, queue, has_chroot=has_chroot))
            else:
                yield Step(list_name, each)

    return [step for name in (*_EARLY, *pair, *_LATE) for step in expand(name, settings.get(name, service))]


def examine_order(settings: PostfixSettings, service: Service, bley: BleyPlaces, folder: str = "") -> Iterator[Finding]:
    """Yield whether the service queries bley, where, and with which options."""
    steps = steps_of(settings, service, bley)
    asked = [step for step in steps if step.relation in (Relation.OURS, Relation.OUTSIDE_CHROOT, Relation.OTHER_HOST)]
    examined = _Examined(settings, service, bley, folder, steps, asked)
    yield from examined.greylisters()
    if not asked:
        yield examined.missing()
        return
    findings = [*examined.order(), *examined.options()]
    yield from findings or [examined.is_well()]


class _Examined(NamedTuple):
    settings: PostfixSettings
    service: Service
    bley: BleyPlaces
    folder: str
    steps: Sequence[Step]
    asked: Sequence[Step]

    @property
    def name(self) -> str:
        place = f" in {self.folder}" if self.folder else ""
        return f"the service {self.service.name}/{self.service.kind}{place}"

    def is_well(self) -> Finding:
        """Return where bley is queried, and with which options."""
        policy = Policy.parse(self.asked[0].restriction.argument)
        options = ", ".join(f"{name} {self._option(policy, name)}" for name in _SHOWN_OPTIONS)
        what = f"{self.name} queries bley at {policy.place}, in {self.asked[0].list_name}: {options}"
        return well(_SUBJECT, what)

    def missing(self) -> Finding:
        """Return why bley is not queried, and the line that changes this."""
        wrong = [step for step in self.steps if step.relation is Relation.NOBODY]
        if wrong:
            place = Policy.parse(wrong[0].restriction.argument).place
            what = f"{self.name} queries {place}, but bley listens at {', '.join(self.bley.places)}"
            why = "Postfix cannot connect, and applies default_action to all mail"
            return fault(_SUBJECT, what, why, self._in_order(wrong))
        for name in split_list(self.settings.get("smtpd_restriction_classes", self.service)):
            for each in parse_restrictions(self.settings.get(name, self.service)):
                if each.is_policy and self._relation(each) is Relation.OURS:
                    return note(_SUBJECT, f"{self.name} queries bley where an access table answers {name}")
        what = f"{self.name} does not query bley"
        return fault(_SUBJECT, what, "no mail is delayed", self._in_order([]))

    def order(self) -> Iterator[Finding]:
        """Yield what is wrong with the place of bley in the lists."""
        step = self.asked[0]
        name, at = step.list_name, self.steps.index(step)
        before = [each.restriction.name for each in self.steps[:at]]
        same_list = [each.restriction.name for each in self.steps[:at] if each.list_name == name]
        remedy = self._in_order(self.asked)
        if name in _LATE:
            why = "after DATA the recipients are not known one by one, so bley passes all mail"
            yield fault(_SUBJECT, f"{self.name} queries bley in {name}", why, remedy)
        elif name in _EARLY and self.settings.get("smtpd_delay_reject", self.service) == "no":
            why = "it queries before RCPT TO: bley does not know the recipient, and passes all mail"
            yield fault(_SUBJECT, f"{self.name} queries bley in {name}, with smtpd_delay_reject = no", why, remedy)
        elif not set(BARRIERS).intersection(before):
            why = "attempts to relay become records and DNS queries, and are deferred where they should be rejected"
            yield warning(_SUBJECT, f"{self.name} queries bley before reject_unauth_destination", why, remedy)
        if ends := [each for each in same_list if each in ENDS]:
            yield fault(_SUBJECT, f"{self.name} has {ends[0]} before bley in {name}", "bley is never queried", remedy)
        if step.restriction.is_only_logged:
            why = "Postfix only logs the deferrals of bley"
            yield fault(_SUBJECT, f"{self.name} has warn_if_reject before bley", why, remedy)
        if len({each.list_name for each in self.asked}) < len(self.asked) or len(self.asked) > 1:
            why = "each query costs time, and counts as a retry"
            yield warning(_SUBJECT, f"{self.name} queries bley {len(self.asked)} times for a recipient", why, remedy)
        yield from self._own_clients(same_list, name, remedy)

    def _own_clients(self, same_list: Sequence[str], name: str, remedy: str) -> Iterator[Finding]:
        """Yield whether bley delays the mail of one's own networks; it never delays authenticated clients."""
        if "permit_mynetworks" in same_list:
            return
        all_of_list = [step.restriction.name for step in self.steps if step.list_name == name]
        if late := [each for each in ("permit_mynetworks", "permit_sasl_authenticated") if each in all_of_list]:
            why = "your own clients are delayed as strangers are, unless trusted_networks has them"
            yield warning(_SUBJECT, f"{self.name} queries bley before {' and '.join(late)}", why, remedy)
        elif delayed := self._untrusted():
            what = f"bley is queried about clients in mynetworks that are not in trusted_networks: {', '.join(delayed)}"
            networks = ", ".join([*map(str, self.bley.trusted_networks), *delayed])
            trust = f"in bley.conf: trusted_networks = {networks}; then: systemctl reload bley"
            yield warning(_SUBJECT, what, "mail of your own networks is delayed", trust)

    def _untrusted(self) -> list[str]:
        """Return the networks of `mynetworks` that bley does not trust, without this machine's single addresses."""
        untrusted = []
        for text in split_list(self.settings.get("mynetworks", self.service)):
            try:
                network = ip_network(text.replace("[", "").replace("]", ""), strict=False)
            except ValueError:
                continue  # a table
            is_trusted = any(
                network.version == each.version and network.subnet_of(each)  # type: ignore[arg-type]
                for each in self.bley.trusted_networks
            )
            if network.num_addresses > 1 and not is_trusted:
                untrusted.append(text)
        return untrusted

    def greylisters(self) -> Iterator[Finding]:
        """Yield the other greylisters."""
        for step in self.steps:
            place = Policy.parse(step.restriction.argument).place
            if step.relation is Relation.GREYLISTER and (other := find_greylister(place)):
                if other.switching_off:
                    what = f"{other.name} may greylist too: check_policy_service {place}"
                    yield note(_SUBJECT, what, "mail would wait twice", other.switching_off)
                    continue
                what = f"{other.name} greylists too: check_policy_service {place} in {step.list_name}"
                remedy = " && ".join(filter(None, (other.importing, self._in_order(self.asked))))
                yield warning(_SUBJECT, what, "mail waits twice, once for each greylister", remedy)

    def options(self) -> Iterator[Finding]:
        """Yield what is wrong with the place, the default action and the time-outs."""
        step, remedy = self.asked[0], self._in_order(self.asked)
        policy = Policy.parse(step.restriction.argument)
        if step.relation is Relation.OUTSIDE_CHROOT:
            why = "smtpd runs in a chroot, where this path does not exist, and default_action applies to all mail"
            yield fault(_SUBJECT, f"{self.name} queries {policy.place}, outside of the queue folder", why,
                        self._into_chroot(remedy))  # fmt: skip
        if step.relation is Relation.OTHER_HOST:
            yield note(_SUBJECT, f"{self.name} queries bley at {policy.place}, on another host")
        action = self._option(policy, "default_action")
        if not re.match(r"(?:dunno|ok|permit)\b", action, re.IGNORECASE):
            what = f"while bley is down, {self.name} answers `{action}`"
            why = "mail is then rejected or delayed for all recipients"
            rejects = re.match(r"5|reject", action, re.IGNORECASE)
            yield (fault if rejects else warning)(_SUBJECT, what, why, remedy)
        if (seconds := _seconds(self._option(policy, "timeout"))) < self._least_seconds:
            what = f"{self.name} waits {seconds:g} s for bley, whose checks may take {self.bley.check_seconds:g} s"
            yield warning(_SUBJECT, what, "Postfix repeats the query, or applies default_action", remedy)
        if self._option(policy, "try_limit") == "1":
            why = "after a restart of bley, the first query on each old connection gets default_action"
            set_limit = edit_command(self.service, {"smtpd_policy_service_try_limit": "2"}, self.folder)
            yield warning(_SUBJECT, f"{self.name} tries a query only once", why, set_limit)

    def _option(self, policy: Policy, name: str) -> str:
        return policy.options.get(name, self.settings.get(f"smtpd_policy_service_{name}", self.service))

    def _relation(self, restriction: Restriction) -> Relation:
        queue = Path(self.settings.get("queue_directory"))
        has_chroot = self.settings.has_chroot(self.service)
        return relation(Policy.parse(restriction.argument).place, self.bley, queue, has_chroot=has_chroot)

    def _into_chroot(self, remedy: str) -> str:
        if any(place.startswith("unix:") for place in reachable_places(self.bley, self.settings, self.service)):
            return remedy
        return "cp contrib/bley.socket /etc/systemd/system/ (docs/install.md, A unix socket), then " + remedy

    @property
    def _least_seconds(self) -> float:
        """The time that bley may take for an answer."""
        return self.bley.check_seconds + 1

    def _in_order(self, asked: Sequence[Step]) -> str:
        """Return the command that queries bley once, at the correct place of the correct list, and no other one."""
        wrong: dict[str, list[Restriction]] = {}
        for step in (*asked, *filter(_is_only_greylister, self.steps)):
            wrong.setdefault(step.list_name, []).append(step.restriction)
        old = Policy.parse(asked[0].restriction.argument if asked else "")
        options = {name: value for name, value in old.options.items() if name != "timeout"}
        if _seconds(self._option(old, "timeout")) < self._least_seconds:
            options["timeout"] = f"{self._least_seconds + _RESERVE_SECONDS:g}s"
        elif "timeout" in old.options:
            options["timeout"] = old.options["timeout"]
        reachable = [*reachable_places(self.bley, self.settings, self.service), "unix:private/bley"]
        keeps = asked and asked[0].relation in (Relation.OURS, Relation.OTHER_HOST)
        bley = policy_text(old.place if keeps else reachable[0], options)
        return order_command(self.settings, self.service, bley, wrong, self.folder)


def _is_only_greylister(step: Step) -> bool:
    """Return whether the step queries a greylister that has no other task."""
    other = find_greylister(Policy.parse(step.restriction.argument).place)
    return step.relation is Relation.GREYLISTER and other is not None and not other.switching_off


def _seconds(text: str) -> float:
    """Return a time of Postfix in seconds; without a unit, seconds."""
    match = re.fullmatch(r"([0-9]+)\s*([smhdw]?)", text.strip())
    return int(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}[match[2]] if match else 100.0
