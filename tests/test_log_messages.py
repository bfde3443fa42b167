"""Each message that the code logs has a rule of logcheck if it is ordinary, and none if it is a warning."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).parents[1]
RULES = PROJECT / "contrib/logcheck/bley"

ORDINARY, REPORTED = {"info", "debug"}, {"warning", "error", "exception", "critical"}
ARGUMENTS = [
    ["x"] * 5,
    ["worker 1 (pid 2)"],
    ["https://127.0.0.1:1338"],
    ["1 record", "2 decisions", "0 counts"],
    ["1 record of bley 2 was", "x"],
    ["whitelist_clients:1:dyn:home.example.org", "exempts 192.0.2.1, and no longer 192.0.2.2, 2001:db8::1"],
    ["3.0.0", "listens on 127.0.0.1:1337, store /var/lib/bley/bley.db"],
    ["bl.example", "IPv6 clients are not looked up: x"],
]
"""Texts for %s in the lines of the code."""
BY_LEVEL = {
    "%s: %s": True,
    "purged %s, %s, %s": True,
    "store: purge: %s": False,
    "store: %s; decisions wait until it takes them": False,
}
"""Lines whose level depends on the moment, and whether those are ordinary that are not debug messages."""


def _messages() -> Iterator[tuple[str, str]]:
    """Yield logging's method and the format of each line that the code of bley logs."""
    for file in (PROJECT / "src/bley").rglob("*.py"):
        tree = ast.parse(file.read_text())
        texts = {
            node.targets[0].id: node.value.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        }
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id="_log"), attr=method), args=arguments):
                    where = arguments[1 if method == "log" else 0]
                    text = where.value if isinstance(where, ast.Constant) else texts.get(ast.unparse(where), "")
                    yield method, str(text)


def _examples(text: str) -> list[str]:
    """Return lines of this format."""
    lines = []
    for arguments in ARGUMENTS:
        line = re.sub("%[dg]", "5", text)
        for argument in arguments:
            line = re.sub(r"%[.\d]*[sr]", argument, line, count=1)
        lines.append(f"2026-11-26T14:26:50Z bley[1]: {line}")
    return lines


def _ignores(lines: list[str]) -> bool:
    """Return whether a rule matches one of the lines."""
    rules = RULES.read_text().replace("[:alnum:]", "a-zA-Z0-9").replace("[:digit:]", "0-9")
    patterns = [re.compile(rule) for rule in rules.splitlines() if not rule.startswith("#")]
    return any(pattern.search(line) for pattern in patterns for line in lines)


def test_each_message_is_ignored_or_reported_by_its_level() -> None:
    """A new one of level info needs a rule in contrib/logcheck/bley; if no argument fits its rule, add one above."""
    ordinary = {
        text: BY_LEVEL[text] if method == "log" else method in ORDINARY
        for method, text in _messages()
        if method in ORDINARY | REPORTED | {"log"} and text not in ("", "%s", "%s=%s: %s")  # a decision; faults
    }
    assert len(ordinary) > 50
    assert {text: _ignores(_examples(text)) for text in ordinary} == ordinary
