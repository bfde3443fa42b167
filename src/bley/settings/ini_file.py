"""Parse `bley.conf`, an INI file with the section [bley], and with [recipients NAME]: the texts of keys, and lines."""

import configparser
import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bley.core.dnslists.syntax import hide_keys
from bley.core.errors import Fault, FaultList, SettingsError
from bley.operator_files import read_text

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
    """The keys of section [bley], and the sections for recipients by name. Without a file it has none."""

    recipients: Mapping[str, IniSection] = field(default_factory=dict)


def read_ini(file: Path) -> IniFile:
    """Read the file. Raises SettingsError if it cannot be read or is no INI file with a section [bley]."""
    parser = configparser.ConfigParser(interpolation=None, default_section="")
    try:
        text = read_text(file, "utf-8-sig", "surrogateescape")
        parser.read_string(text, str(file))
    except OSError as error:
        raise SettingsError([Fault(str(file), 0, f"cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:  # of a file that begins like UTF-16
        raise SettingsError([Fault(str(file), 0, "is not UTF-8")]) from error
    except configparser.Error as error:
        raise SettingsError(_syntax_faults(str(file), text.split("\n"), error)) from error
    lines = _line_numbers(text)
    recipients = _sections_for_recipients(str(file), parser, lines)
    if not parser.has_section(_SECTION):
        raise SettingsError([Fault(str(file), 0, f"has no section [{_SECTION}]")])
    inherited = parser[_GRAPH_SECTION] if parser.has_section(_GRAPH_SECTION) else {}
    texts = {key: inherited[key] for key in ("destdir",) if key in inherited} | dict(parser[_SECTION])
    _check_encoding(str(file), text)
    return IniFile(str(file), texts, lines.get(_SECTION, {}), recipients=recipients)


def _sections_for_recipients(
    file: str, parser: configparser.ConfigParser, lines: Mapping[str, Mapping[str, int]]
) -> dict[str, IniSection]:
    """Return the sections by name. Raises SettingsError with each unknown section."""
    sections: dict[str, IniSection] = {}
    faults = FaultList()
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
    faults.check()
    return sections


def _right_header(header: str) -> str:
    first_word = re.split(r"[^a-z]", header.casefold())[0]
    if difflib.get_close_matches(first_word, ["recipients"], cutoff=0.7):
        return "[recipients NAME], with a name of at most 64 letters, digits and the characters . - _ @"
    return f"[{_SECTION}]"


def _check_encoding(file: str, text: str) -> None:
    """Raise SettingsError with each line that is not UTF-8. In a comment that is no fault."""
    faults = FaultList()
    for number, line in enumerate(text.split("\n"), start=1):
        if _NO_UTF8.search(line) and line.lstrip()[0] not in "#;":
            faults.add(Fault(file, number, "is not UTF-8: save the file as UTF-8"))
    faults.check()


def _syntax_faults(file: str, lines: Sequence[str], error: configparser.Error) -> list[Fault]:
    match error:
        case configparser.MissingSectionHeaderError():
            return [Fault(file, error.lineno, f"a setting before the section: begin the file with [{_SECTION}]")]
        case configparser.DuplicateOptionError():
            return [Fault(file, error.lineno or 0, f"{hide_keys(error.option)} is set a second time: keep one")]
        case configparser.DuplicateSectionError():
            return [Fault(file, error.lineno or 0, f"section [{error.section}] appears a second time")]
        case configparser.ParsingError():
            faults, what = FaultList(), "is not a setting: write key = value"
            for number, _ in error.errors:  # with the line, or before Python 3.13 its repr
                text = hide_keys(lines[number - 1].strip())
                faults.add(Fault(file, number, f"{text!r} {what}"), kind=what)
            return faults.shown
    raise error


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
