"""Parse `bley.conf`, an INI file with the section [bley], and with [recipients NAME]: the texts of keys, and lines."""

import configparser
import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bley.core.errors import MOST_FAULTS, Fault, FaultList, SettingsError
from bley.operator_files import read_text
from bley.settings.fault_texts import hide_secrets

__all__ = ["IniFile", "IniSection", "read_ini"]

_SECTION = "bley"
_GRAPH_SECTION = "bleygraph"
"""A section of bley 2. Only its key `destdir` is still used; [bley] may have it as well."""
_NO_UTF8 = re.compile("[\udc80-\udcff]")
"""Bytes that are not UTF-8, as surrogates (PEP 383)."""
_HEADER = ""
"""In place of a key: the line with the name of the section."""
_RECIPIENTS = re.compile(r"recipients\s+([\w.@-]{1,64})")
"""A section for recipients, with its name, which the log has unchanged."""
_MOST_SECTIONS = 100
"""Sections for recipients. A reload reads all of them before it answers requests again, each in some 0.3 ms."""
_LINE = re.compile(r"(?P<key>[^\s=:#;\[][^=:]*?)\s*[=:]")


@dataclass(frozen=True, slots=True)
class IniSection:
    """The keys of a section; `line` is that of its header, or 0."""

    file: str = "the default settings"
    texts: Mapping[str, str] = field(default_factory=dict)
    lines: Mapping[str, int] = field(default_factory=dict)
    line: int = 0

    def fault(self, key: str, text: str) -> Fault:
        """Return a fault at the line of `key`."""
        return Fault(self.file, self.lines.get(key, self.line), text)


@dataclass(frozen=True, slots=True)
class IniFile(IniSection):
    """The keys of section [bley], and the sections for recipients by name. Without a file it has none.

    `faults` has the faults of single lines, which are left out: the other lines may have faults too.
    """

    recipients: Mapping[str, IniSection] = field(default_factory=dict)
    faults: FaultList = field(default_factory=FaultList)


def read_ini(file: Path) -> IniFile:
    """Read the file. Raises SettingsError if it cannot be read, or if a fault makes its other lines unclear."""
    try:
        text = read_text(file, "utf-8-sig", "surrogateescape")
    except OSError as error:
        raise SettingsError([Fault(str(file), 0, f"cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:  # of a file that begins like UTF-16
        raise SettingsError([Fault(str(file), 0, "is not UTF-8")]) from error
    faults = FaultList()
    text = _without_faults(str(file), text, faults)
    parser = _parser(text)
    lines = _line_numbers(text)
    recipients = _sections_for_recipients(str(file), parser, lines, faults)
    if not parser.has_section(_SECTION):
        faults.check()
        raise SettingsError([Fault(str(file), 0, f"has no section [{_SECTION}]")])
    inherited = parser[_GRAPH_SECTION] if parser.has_section(_GRAPH_SECTION) else {}
    texts = {key: inherited[key] for key in ("destdir",) if key in inherited} | dict(parser[_SECTION])
    return IniFile(str(file), texts, lines.get(_SECTION, {}), recipients=recipients, faults=faults)


def _parser(text: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, default_section="")
    parser.read_string(text)
    return parser


def _without_faults(file: str, text: str, faults: FaultList) -> str:
    """Return the text with empty lines in place of those whose faults are added.

    Raises SettingsError for a fault of a section's header, and after as many faults as are shown.
    """
    lines = text.split("\n")
    _check_encoding(file, lines, faults)
    for _ in range(MOST_FAULTS):
        try:
            _parser("\n".join(lines))
        except (configparser.ParsingError, configparser.DuplicateOptionError) as error:
            if isinstance(error, configparser.MissingSectionHeaderError):
                faults.add(Fault(file, error.lineno, f"a setting before the section: begin the file with [{_SECTION}]"))
                break
            _blank_lines(file, lines, error, faults)
        except configparser.DuplicateSectionError as error:
            faults.add(Fault(file, error.lineno or 0, f"section [{error.section}] appears a second time"))
            break
        else:
            return "\n".join(lines)
    faults.check()
    raise AssertionError("each way out of the loop has added a fault")


def _blank_lines(
    file: str, lines: list[str], error: configparser.ParsingError | configparser.DuplicateOptionError, faults: FaultList
) -> None:
    """Add the faults of the error, and empty their lines."""
    if isinstance(error, configparser.DuplicateOptionError):
        number = error.lineno or 1
        faults.add(Fault(file, number, f"{hide_secrets(error.option)} is set a second time: keep one"), "second time")
        lines[number - 1] = ""
        return
    what = "is not a setting: write key = value"
    for number, _ in error.errors:  # with the line, or before Python 3.13 its repr
        faults.add(Fault(file, number, f"{hide_secrets(lines[number - 1].strip())!r} {what}"), kind=what)
        lines[number - 1] = ""


def _sections_for_recipients(
    file: str, parser: configparser.ConfigParser, lines: Mapping[str, Mapping[str, int]], faults: FaultList
) -> dict[str, IniSection]:
    """Return the sections by name; add the fault of each unknown section."""
    sections: dict[str, IniSection] = {}
    for header in parser.sections():
        if header in (_SECTION, _GRAPH_SECTION):
            continue
        of_keys = lines.get(header, {})
        section = IniSection(file, dict(parser[header]), of_keys, of_keys.get(_HEADER, 0))
        if not (match := _RECIPIENTS.fullmatch(header)):
            text = f"unknown section [{header}]: write {_right_header(header)}"
            faults.add(section.fault(_HEADER, text), kind="unknown section")
        elif match[1] in sections:
            faults.add(section.fault(_HEADER, f"section [recipients {match[1]}] appears a second time"))
        elif len(sections) == _MOST_SECTIONS:
            text = f"[{header}]: there may be {_MOST_SECTIONS} sections for recipients"
            faults.add(section.fault(_HEADER, text), kind="too many sections")
        else:
            sections[match[1]] = section
    return sections


def _right_header(header: str) -> str:
    first_word = re.split(r"[^a-z]", header.casefold())[0]
    if difflib.get_close_matches(first_word, ["recipients"], cutoff=0.7):
        return "[recipients NAME], with a name of at most 64 letters, digits and the characters . - _ @"
    return f"[{_SECTION}]"


def _check_encoding(file: str, lines: list[str], faults: FaultList) -> None:
    """Add the fault of each line that is not UTF-8, and empty those of settings. In a comment that is no fault."""
    for number, line in enumerate(lines, start=1):
        if _NO_UTF8.search(line) and line.lstrip()[0] not in "#;":
            faults.add(Fault(file, number, "is not UTF-8: save the file as UTF-8"), kind="encoding")
            lines[number - 1] = line if line.startswith("[") else ""


def _line_numbers(text: str) -> dict[str, dict[str, int]]:
    """Return the line numbers of the keys of each section, and of its _HEADER, which configparser does not report."""
    sections: dict[str, dict[str, int]] = {}
    numbers: dict[str, int] = {}
    indent, is_in_value = 0, False
    for number, line in enumerate(text.split("\n"), start=1):
        content = line.strip()
        depth = len(line) - len(line.lstrip())
        if not content or content[0] in "#;" or (is_in_value and depth > indent):
            continue
        is_in_value, indent = False, depth
        if header := configparser.ConfigParser.SECTCRE.match(content):
            numbers = sections.setdefault(header["header"], {_HEADER: number})
        elif match := _LINE.match(content):
            numbers[match["key"].lower()] = number
            is_in_value = True
    return sections
