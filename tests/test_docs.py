"""The documentation matches the code: all it names exists, and everything that must be documented is."""

import importlib
import json
import re
import shlex
import tomllib
from datetime import timedelta
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from docs import commands_page, settings_page
from docs.tables import PAGES, with_tables

from bley import __version__
from bley.cli import GROUPS, main
from bley.commands.documented import DocumentedCommand
from bley.core.dnslists.lists import parse_dns_lists, parse_domain_lists
from bley.core.evidence import Finding
from bley.core.findings import LOG_FIELDS, Check
from tests.log_datagrams import journal_fields
from tests.prose import passages, split_sentences
from tests.shown_metrics import shown_metrics
from tests.unit.log.test_decision_line import DEFERRAL, listings, with_listed_domain, written

PROJECT = Path(__file__).parent.parent
SETTINGS = PROJECT.joinpath("docs/settings.md").read_text()
MANUAL = PROJECT.joinpath("docs/bley.1").read_text()
CONF_MANUAL = PROJECT.joinpath("docs/bley.conf.5").read_text()

COMMANDS = {command.name or "": command for command in commands_page.documented_commands()}


def rows(text: str, columns: int) -> dict[str, list[str]]:
    """Return the rows of Markdown tables with this number of columns whose first cell is `code`."""
    table = [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line.startswith("| `")
    ]
    return {row[0].strip("`"): row for row in table if len(row) == columns}


def test_the_tables_of_the_documents_are_made_from_the_code() -> None:
    """After a change: `make manual`."""
    for name in PAGES:
        page = PROJECT.joinpath("docs", name).read_text()
        assert with_tables(page) == page
    _, findings = PROJECT.joinpath("docs/reasons.md").read_text().split("## Findings")
    assert list(rows(findings, 3)) == list(Check)


def test_every_field_of_the_log_is_documented_and_every_documented_one_exists() -> None:
    """Each field is documented under its name in text and JSON, and in the journal."""
    everything = DEFERRAL._replace(
        request=DEFERRAL.request._replace(instance="1f.2", queue_id="8045F2AB23"),
        evidence={check: Finding(1, "") for check in LOG_FIELDS},
        delayed=timedelta(minutes=6),
        exempted_by="clients:3:example.com",
        section="volunteers",
        verified_name="mx.example.com",
    )
    with_words = with_listed_domain()
    lines = [written(everything), *listings(with_words)]
    objects = [written(everything, is_json=True), *listings(with_words, is_json=True)]
    fields, findings = PROJECT.joinpath("docs/log.md").read_text().split("In text the findings are")
    documented = rows(fields, 3)
    assert set(documented) == {name for line in objects for name in json.loads(line)}
    in_journal = {name: row[1].strip("`") for name, row in documented.items() if name != "evidence"}
    in_journal |= {name: row[1].strip("`") for name, row in rows(findings, 2).items()}
    assert set(rows(findings, 2)) == set(LOG_FIELDS)
    assert sorted(in_journal.values()) == sorted({name for line in lines for name in journal_fields(line)})
    assert in_journal == {name: f"BLEY_{name.upper().replace('-', '_')}" for name in in_journal}


def test_every_metric_is_documented_and_every_documented_one_exists() -> None:
    documented = rows(PROJECT.joinpath("docs/metrics.md").read_text(), 3)
    assert {name: set(re.findall(r"`(\w+)`", labels)) for name, (_, labels, _) in documented.items()} == shown_metrics()


def test_the_lists_that_the_documents_recommend_are_alive() -> None:
    text = PROJECT.joinpath("docs/lists.md").read_text().split("## Which lists to use")[1].split("Usual weights")[0]
    settings = re.findall(r"`((?:[\w-]+\.)+[a-z]{2,}[^`]*)`", text)
    lists = [dns_list for setting in settings for dns_list in parse_dns_lists(setting)]
    assert len(lists) >= 6
    assert {dns_list.facts.status for dns_list in lists} == {"alive"}


def test_the_domain_lists_that_the_documents_describe_are_known_and_alive() -> None:
    """Each has domains, and facts with a source."""
    text = PROJECT.joinpath("docs/lists.md").read_text().split("| list | contents | note |")[1].split("## Answers")[0]
    settings = re.findall(r"`((?:[\w-]+\.)+[a-z]{2,}[^`]*)`", text)
    lists = [dns_list for setting in settings for dns_list in parse_domain_lists(setting)]
    assert len(lists) >= 8
    assert {(each.facts.status, each.facts.domains, bool(each.facts.source)) for each in lists} == {
        ("alive", True, True)
    }


_PARTS_OF_A_RELEASE = [
    *("Highlights", "Installation", "Decisions", "Settings and list files", "DNS lists", "The store"),
    *("Log and monitoring", "Commands", "Dashboard", "Changed since bley 2", "For installations of 3.0.0.dev0"),
]


def test_the_changes_are_ordered_by_the_work_of_an_administrator() -> None:
    """Where a merge brought old lines back, take CHANGELOG.md of main, and add your line to a part of it."""
    for changes in PROJECT.joinpath("CHANGELOG.md").read_text().split("\n## ")[1:]:
        parts = {part.split("\n")[0]: part.count("\n- ") for part in changes.split("\n### ")[1:]}
        assert list(parts) == [name for name in _PARTS_OF_A_RELEASE if name in parts]
        lines = [line for line in changes.splitlines() if line]
        assert len(lines) == len(set(lines))
        assert parts.get("Highlights", 0) <= 8
        assert {name for name, entries in parts.items() if entries > 20} == set(), "nobody reads that many"


def test_the_manual_pages_are_made_from_the_commands_and_settings() -> None:
    """After a change: `make manual`."""
    assert commands_page.page() == MANUAL
    assert settings_page.page() == CONF_MANUAL


def test_a_command_that_ran_by_itself_has_the_same_page() -> None:
    """click then keeps another option for its help."""
    assert CliRunner().invoke(COMMANDS["doctor"], ["--help"]).exit_code == 0
    assert commands_page.page() == MANUAL


def test_the_commands_have_one_line_each_that_a_small_terminal_shows_together() -> None:
    """80 columns and 24 lines, of which the shell takes the last."""
    text = main.get_help(click.Context(main, info_name="bley", terminal_width=80))
    listed = text[text.index("Commands:") :].splitlines()
    assert len(listed) <= 23
    assert len(listed) == 1 + len(COMMANDS) - len(GROUPS["help"])
    assert all(name in text for name in GROUPS["help"])
    assert all(line.endswith(".") and len(line) <= 80 for line in listed[1:])


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_the_examples_of_a_command_are_valid_command_lines(command: DocumentedCommand) -> None:
    lines = "\n".join(command.examples).replace("\\\n", "").splitlines()
    assert lines
    for line in lines:
        name, *arguments = shlex.split(line.split("|")[0].split(">")[0] if "'" not in line else line)[1:]
        assert name == command.name
        command.make_context(name, arguments)


def test_the_postfix_lines_of_the_readme_are_those_of_the_tests() -> None:
    """The test Postfix has the lines of the README."""
    harness = PROJECT.joinpath("tests/integration/postfix.py").read_text()
    readme = PROJECT.joinpath("README.md").read_text()
    assert "check_policy_service { inet:127.0.0.1:1337, default_action=DUNNO }" in readme
    assert "reject_unauth_destination" in harness
    assert "default_action=DUNNO" in harness


_DOCUMENTS = [file for pattern in ("*.md", "docs/**/*.md", "contrib/**/*.md") for file in PROJECT.glob(pattern)]


def test_targets_of_make_named_in_the_documents_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", PROJECT.joinpath("Makefile").read_text(), re.MULTILINE))
    for document in _DOCUMENTS:
        for name in re.findall(r"(?:`|^)make ([a-z-]+)", document.read_text(), re.MULTILINE):
            assert name in targets, f"{document.name} names make {name}"


def test_links_and_files_named_in_the_documents_exist() -> None:
    for document in _DOCUMENTS:
        text = document.read_text()
        for name in re.findall(r"`((?:docs|contrib|bench|tests|src)/[\w./-]+\.\w+)`", text):
            assert PROJECT.joinpath(name).exists(), f"{document.name} names {name}"
        for name in re.findall(r"\[[^]]*\]\(([\w./-]+)\)", text):
            assert document.parent.joinpath(name).exists(), f"{document.name} links to {name}"


_FOR_DEVELOPERS = [PROJECT / "ARCHITECTURE.md", *PROJECT.glob("docs/design/*.md")]


def test_modules_named_for_developers_exist() -> None:
    for document in _FOR_DEVELOPERS:
        for name in re.findall(r"`([a-z_]+(?:/[\w-]+)*\.(?:py|toml))`", document.read_text()):
            found = [folder for folder in (PROJECT, PROJECT / "src/bley") if folder.joinpath(name).exists()]
            assert found, f"{document.name} names {name}"


def test_modules_in_pictures_exist() -> None:
    for document in _FOR_DEVELOPERS:
        for picture in re.findall(r"^```\n(.*?)^```", document.read_text(), re.DOTALL | re.MULTILINE):
            for name in re.findall(r"\b[a-z]+(?:/[a-z0-9_]+)+(?:\.toml)?", picture):
                path = PROJECT / "src/bley" / name
                assert path.exists() or path.with_suffix(".py").exists(), f"{document.name} shows {name}"


def test_the_version_is_told_the_same_everywhere() -> None:
    project = tomllib.loads(PROJECT.joinpath("pyproject.toml").read_text())
    assert project["tool"]["hatch"]["version"]["path"] == "src/bley/__init__.py"
    assert f"## {__version__}" in PROJECT.joinpath("CHANGELOG.md").read_text()
    assert f"bley {__version__}" in MANUAL


def test_the_json_of_each_command_is_documented() -> None:
    headings = re.findall(r"^## `bley ([\w-]+).* --json`$", PROJECT.joinpath("docs/json.md").read_text(), re.MULTILINE)
    printing = {name for name, each in COMMANDS.items() if any("--json" in option.opts for option in each.params)}
    assert set(headings) == printing


_BOUND = re.compile(
    r"^(_?(?:MAX|MOST|LONGEST)(?:_[A-Z]+)*)(?:: \w+)? = |^@lru_cache.*\n(?:@.*\n)*def (\w+)", re.MULTILINE
)

_OPERATORS_OWN = (
    *(
        "commands/",
        "predecessors/",
        "graph/",
        "settings/settings.py",
        "settings/snapshot.py",
        "settings/values.py",
        "dns/resolv_conf.py",
        "settings/web_password.py",
    ),
    *(
        "commands/why.py",
        "commands/stats.py",
        "daemon/worker_process.py",
        "log/files.py",
        "operator_files.py",
        "web/chart.py",
        "core/scores.py",
        "core/dnslists/syntax.py",
    ),
)
"""Modules with bounds for input of the operator only."""

_NO_BOUNDS = {
    "bley.dns.c_ares._LONGEST_NAME_BYTES": "an estimate",
    "bley.checks.spf_validity._LONGEST_SECONDS": "a time",
    "bley.core.greylist.MAX_ATTEMPTS": "a number",
    "bley.core.triplet._LONGEST_CHARACTER": "a fact",
}


def _bounds() -> set[str]:
    """Return all constants that are named as bounds, and all cached functions."""
    source = PROJECT / "src"
    found = set()
    for file in sorted(source.rglob("*.py")):
        if not file.relative_to(source / "bley").as_posix().startswith(_OPERATORS_OWN):
            module = file.relative_to(source).with_suffix("").as_posix().replace("/", ".")
            found |= {f"{module}.{constant or cached}" for constant, cached in _BOUND.findall(file.read_text())}
    return found - set(_NO_BOUNDS)


def test_the_documented_bounds_are_those_of_the_code() -> None:
    """A constant is documented with its value, a cached function with its size."""
    documented = rows(PROJECT.joinpath("docs/security.md").read_text(), 3)
    assert len(documented) > 40
    for path, (_, value, _) in documented.items():
        module, _, name = path.rpartition(".")
        bound = getattr(importlib.import_module(module), name)
        assert float(value.replace(",", "")) == (bound.cache_info().maxsize if callable(bound) else bound), path


def test_every_bound_is_documented() -> None:
    documented = rows(PROJECT.joinpath("docs/security.md").read_text(), 3)
    missing = _bounds() - set(documented)
    assert not missing, f"docs/security.md has no row for {sorted(missing)}: what does it bound, and how much is that?"


_BANNED = re.compile(
    r"\b(?:anew|anybody|begun|beside|dear(?:er)?|everybody|hitherto|lest|nobody|nought|somebody|thereby|therein|thereof"
    r"|whence|wherein|whereof|whoever|whomever|(?:is|are|was|were|be|been|being) told"
    r"|(?:and|as|at|but|by|for|from|if|of|or|than|that|to|with) who|who (?:asks|looks|looked|knows|waits|wants))\b",
    re.IGNORECASE,
)
"""Archaisms, and words that hide the subject or the verb of a sentence."""

_NO_SUBJECT = re.compile(r"(?:^|[.:;] |\W )(?:Who|What)\b[^.?]*(?:\.|$)")
"""A statement that begins with "Who" or "What" in place of a noun."""


def _prose_files() -> list[Path]:
    patterns = (
        "*.md",
        "docs/**/*.md",
        "contrib/**/*.md",
        "docs/*.[15]",
        "src/bley/**/*.py",
        "src/bley/web/templates/*.html",
    )
    return [file for pattern in patterns for file in sorted(PROJECT.glob(pattern))]


def _banned_words(file: Path) -> list[str]:
    """Return each banned word with its place."""
    return [
        f"{file.relative_to(PROJECT)}:{number}: {found[0].strip()}"
        for number, passage in passages(file)
        for found in (*_BANNED.finditer(passage), *_NO_SUBJECT.finditer(passage))
    ]


def test_prose_is_plain() -> None:
    """CONTRIBUTING.md, English: each sentence names its subject, in words of today."""
    found = [place for file in _prose_files() for place in _banned_words(file)]
    assert not found, "\n".join(["use a noun and an exact verb (CONTRIBUTING.md, English):", *found])


def _misplaced_sentences(file: Path) -> list[str]:
    """Return the lines with several sentences, and those that break a sentence."""
    found, before = list[str](), ""
    for number, line in passages(file):
        place = f"{file.relative_to(PROJECT)}:{number}: {line[:60]}"
        if line.startswith(("|", "#")):
            line = ""
        elif len(split_sentences(re.sub(r"^\d+\. ", "", line))) > 1:
            found.append(f"{place}: several sentences")
        if before and line and not re.match(r"[-*] |\d+\. ", line) and not re.search(r"[.:?!][)*\"`…]*$", before):
            found.append(f"{place}: a sentence of several lines")
        before = line
    return found


def test_markdown_has_one_sentence_a_line() -> None:
    files = [file for file in _prose_files() if file.suffix == ".md"]
    found = [place for file in files for place in _misplaced_sentences(file)]
    assert not found, "\n".join(found)


def test_each_table_of_a_document_has_its_head() -> None:
    """An empty line ends a table; rows below it would be shown as text."""
    head = re.compile(r" *\|[ :|-]+\|")
    wrong = []
    for file in (file for file in _prose_files() if file.suffix == ".md"):
        lines = ["", *file.read_text().splitlines(), ""]
        starts = (n for n in range(1, len(lines)) if _is_row(lines[n]) and not _is_row(lines[n - 1]))
        wrong += [f"{file.relative_to(PROJECT)}:{n}" for n in starts if not head.fullmatch(lines[n + 1])]
    assert not wrong


def test_each_row_of_a_table_has_as_many_cells_as_its_head() -> None:
    """Also in code, a bar that is no border needs a backslash."""
    wrong = []
    for file in (file for file in _prose_files() if file.suffix == ".md"):
        columns = 0
        for number, line in enumerate(file.read_text().splitlines(), 1):
            bars = len(re.findall(r"(?<!\\)\|", line)) if _is_row(line) else 0
            if columns and bars not in (0, columns):
                wrong.append(f"{file.relative_to(PROJECT)}:{number}")
            columns = bars
    assert not wrong


def _is_row(line: str) -> bool:
    return line.lstrip().startswith("|")


def test_the_glossary_is_short() -> None:
    glossary = PROJECT.joinpath("CONTRIBUTING.md").read_text().split("## Glossary")[1]
    words = [word for line in glossary.splitlines() if line.startswith("| ") for word in line.split("|")[1].split(",")]
    assert 40 < len(words) - 1 <= 60
