"""The modules that mypyc compiles (pyproject.toml) have nothing that it compiles wrongly (ARCHITECTURE.md)."""

import ast
import tomllib
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
HOOK = tomllib.loads(PROJECT.joinpath("pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
PATTERNS: list[str] = HOOK["hooks"]["mypyc"]["include"]
MODULES = sorted({file for pattern in PATTERNS for file in PROJECT.glob(pattern.removeprefix("/"))})


def is_trap(node: ast.AST) -> bool:
    """Return whether mypyc compiles this wrongly, or so that a copy or a pickle of it fails."""
    match node:
        case ast.AsyncFunctionDef() | ast.Await():
            return True
        case ast.ClassDef(bases=bases, body=body):
            names = {base.id for base in bases if isinstance(base, ast.Name)}
            has_new = any(isinstance(each, ast.FunctionDef) and each.name == "__new__" for each in body)
            return "greenlet" in names or has_new
        case ast.ImportFrom(module="copy" | "pickle"):
            return True
    return False


@pytest.mark.parametrize("pattern", PATTERNS)
def test_each_pattern_names_a_module(pattern: str) -> None:
    assert list(PROJECT.glob(pattern.removeprefix("/")))


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(PROJECT)))
def test_no_compiled_module_has_a_coroutine_or_another_trap(module: Path) -> None:
    traps = [node for node in ast.walk(ast.parse(module.read_text())) if is_trap(node)]
    assert [node.lineno for node in traps if isinstance(node, ast.stmt | ast.expr)] == []


@pytest.mark.parametrize(
    "code",
    [
        "async def f(): ...",
        "class E(StrEnum):\n def __new__(cls): ...",
        "class G(greenlet): ...",
        "from copy import copy",
    ],
)
def test_a_trap_is_found(code: str) -> None:
    assert any(map(is_trap, ast.walk(ast.parse(code))))
