"""The parts that `bley serve` opens at its start, each with its faults and warnings (daemon/start_check.py)."""

from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

from bley.commands.doctor.finding import Finding, fault, note, warning, well
from bley.daemon.start_check import PartReport, RunningBley, check_parts
from bley.settings.file import Configuration

__all__ = ["examine_start"]


class _Part(NamedTuple):
    subject: str
    is_well: str
    why: str


_PARTS = {
    "log_file": _Part("log", "log_file can be written", "without the log no delay can be explained afterwards"),
    "listen_addr": _Part("ports", "can listen at listen_addr", "without its address bley gets no request"),
    "web_tls_cert": _Part("web", "certificate and key fit", "bley does not start with a wrong certificate"),
    "web_listen": _Part("ports", "can listen at web_listen", "bley does not start without this address"),
    "pid_file": _Part("files", "pid_file can be written", "bley does not start without it"),
    "database": _Part("store", "opens, accepts writes, and has the configured privacy key", "without the store "
                      "bley cannot know which mail has waited"),
    "resolver": _Part("resolver", "answers, and does not rewrite NXDOMAIN", "DNS lists, SPF and host names need it"),
    "names": _Part("lists", "the names of dyn: entries resolve", "while a name does not resolve, its client waits "
                   "like others"),
    "files": _Part("files", "no file of bley belongs to root by mistake", "bley cannot use a file of another user"),
}  # fmt: skip


async def examine_start(configuration: Configuration, running: RunningBley | None) -> list[Finding]:
    """Try all that `serve` opens at its start, at most for ten seconds, and change nothing."""
    findings = [
        warning("settings", each, "the setting is valid, but hardly meant so") for each in configuration.warnings
    ]
    place = configuration.file or "no settings file: the defaults"
    if configuration.settings.mode != "enforce":
        what = f"mode = {configuration.settings.mode}: bley delays no mail, except where a section sets mode"
        findings.append(note("settings", what, "spam is not delayed either", "in bley.conf: mode = enforce"))
    findings = findings or [well("settings", f"{place}, and its list files are valid")]
    reports: dict[str, PartReport] = {}
    for report in await check_parts(configuration, running):
        united = reports.setdefault(report.name, PartReport(report.name, [], []))
        united.faults.extend(report.faults)
        united.warnings.extend(report.warnings)
    if not configuration.settings.web_tls_cert:
        del reports["web_tls_cert"]
    findings.extend(chain.from_iterable(map(_findings, reports.values())))
    return findings


def _findings(report: PartReport) -> Iterator[Finding]:
    part = _PARTS[report.name]
    for each in report.faults:
        yield fault(part.subject, str(each), part.why)
    for text in report.warnings:
        yield warning(part.subject, text, part.why)
    if not report.faults and not report.warnings:
        yield well(part.subject, part.is_well)
