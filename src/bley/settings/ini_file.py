"""Parse `bley.conf`, an INI file with the section [bley]: the text of each key and its line number."""

import configparser
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bley.core.dnslists.syntax import hide_keys
from bley.core.errors import Fault, FaultList, SettingsError
from bley.operator_files import read_text

__all__ = ["IniFile", "read_ini"]

_SECTION = "bley"
_GRAPH_SECTION = "bleygraph"
"""A section of bley 2. Only its key `destdir` is still used; [bley] may have it as well."""
_NO_UTF8 = re.compile("[\udc80-\udcff]")
"""Bytes that are not UTF-8, as surrogates (PEP 383)."""
_LINE = re.compile(r"(?P<key>[^\s=:#;\[][^=:]*?)\s*[=:]")


@dataclass(frozen=True, slots=True)
class IniFile:
    """The keys of section [bley]. Without a file it has none."""

    name: str = "the default settings"
    texts: Mapping[str, str] = field(default_factory=dict)
    lines: Mapping[str, int] = field(default_factory=dict)

    def fault(self, key: str, text: str) -> Fault:
        """Return a fault at the line of `key`."""
        return Fault(self.name, self.lines.get(key, 0), text)


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
    for section in parser.sections():
        if section not in (_SECTION, _GRAPH_SECTION):
            fault = Fault(str(file), lines.get(f"[{section}]", 0), f"unknown section [{section}]: write [{_SECTION}]")
            raise SettingsError([fault])
    if not parser.has_section(_SECTION):
        raise SettingsError([Fault(str(file), 0, f"has no section [{_SECTION}]")])
    inherited = parser[_GRAPH_SECTION] if parser.has_section(_GRAPH_SECTION) else {}
    texts = {key: inherited[key] for key in ("destdir",) if key in inherited} | dict(parser[_SECTION])
    _check_encoding(str(file), text)
    return IniFile(str(file), texts, lines)


def _check_encoding(file: str, text: str) -> None:
    """Raise SettingsError with each line that is not UTF-8. In a comment that is no fault."""
    if faults := [
        Fault(file, number, "is not UTF-8: save the file as UTF-8")
        for number, line in enumerate(text.split("\n"), start=1)
        if _NO_UTF8.search(line) and line.lstrip()[0] not in "#;"
    ]:
        raise SettingsError(faults)


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


def _line_numbers(text: str) -> dict[str, int]:
    """Return the line numbers of the sections and of the keys of [bley], which configparser does not report."""
    numbers: dict[str, int] = {}
    section, indent, is_in_value = "", 0, False
    for number, line in enumerate(text.split("\n"), start=1):
        content = line.strip()
        depth = len(line) - len(line.lstrip())
        if not content or content[0] in "#;" or (is_in_value and depth > indent):
            continue
        is_in_value, indent = False, depth
        if header := configparser.ConfigParser.SECTCRE.match(content):
            section = header["header"]
            numbers[f"[{section}]"] = number
        elif section == _SECTION and (match := _LINE.match(content)):
            numbers[match["key"].lower()] = number
            is_in_value = True
    return numbers
