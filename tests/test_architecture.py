"""Imports point down: a module imports from lower layers and from its own folder. ARCHITECTURE.md lists the layers."""

import ast
import importlib
import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
SOURCE = PROJECT / "src" / "bley"
ARCHITECTURE = PROJECT.joinpath("ARCHITECTURE.md").read_text()


def _layers(heading: str) -> list[list[str]]:
    """Read the second column of the table with this heading, from the top layer down."""
    table = ARCHITECTURE.split(f"| {heading} | ")[1].split("\n\n")[0]
    return [re.findall(r"`(\w+)`", row.split("|")[2]) for row in table.splitlines()[2:]]


LAYERS = _layers("layer")
CORE_LAYERS = _layers("layer of core")

IMPURE = {
    *("asyncio", "logging", "os", "socket", "time", "random", "threading", "subprocess"),
    *("importlib", "io", "pathlib", "tempfile"),
}
"""The modules that core must not import: it has no socket, clock, await, logging or file."""

MODULES = sorted(path.relative_to(SOURCE).with_suffix("").parts for path in SOURCE.rglob("*.py"))

IMPORTED = [".".join(("bley", *module)).removesuffix(".__init__") for module in MODULES if module[0][0] != "_"]


def _layer(layers: list[list[str]], name: str) -> int:
    return next(number for number, names in enumerate(layers) if name in names)


def _points_down(layers: list[list[str]], own: str, other: str) -> bool:
    return own == other or _layer(layers, other) > _layer(layers, own)


def _parsed(module: tuple[str, ...]) -> ast.Module:
    return ast.parse(SOURCE.joinpath(*module).with_suffix(".py").read_text())


def imported(module: tuple[str, ...]) -> set[tuple[str, ...]]:
    """Return every module that `module` imports, as its dotted parts."""
    names = set()
    for node in ast.walk(_parsed(module)):
        if isinstance(node, ast.Import):
            names |= {tuple(alias.name.split(".")) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module, f"{module} has a relative import"
            names.add(tuple(node.module.split(".")))
            if node.module == "bley":
                names |= {("bley", alias.name) for alias in node.names if not alias.name.startswith("__")}
    return names


def test_every_folder_has_one_layer() -> None:
    assert sorted(name for names in LAYERS for name in names) == sorted({module[0] for module in MODULES})


def test_every_module_of_core_has_one_layer() -> None:
    names = {module[1] for module in MODULES if module[0] == "core"} - {"__init__"}
    assert sorted(name for names_of_layer in CORE_LAYERS for name in names_of_layer) == sorted(names)


@pytest.mark.parametrize("module", MODULES, ids="/".join)
def test_imports_point_down(module: tuple[str, ...]) -> None:
    for name in imported(module):
        if name[0] != "bley" or len(name) == 1:
            continue
        assert _points_down(LAYERS, module[0], name[1]), f"{'/'.join(module)} imports {'.'.join(name)}"
        if module[0] == name[1] == "core":
            assert _points_down(CORE_LAYERS, module[1], name[2]), f"{'/'.join(module)} imports {'.'.join(name)}"


def impurities(tree: ast.Module) -> set[str]:
    """Return what a module of core must not have: impure imports, `open` in any form, coroutines."""
    found = set[str]()
    for node in ast.walk(tree):
        match node:
            case ast.Import(names):
                found |= {alias.name.partition(".")[0] for alias in names} & IMPURE
            case ast.ImportFrom(str(name)):
                found |= {name.partition(".")[0]} & IMPURE
            case ast.Name("open" | "__import__") | ast.Attribute(attr="open"):
                found.add("open")
            case ast.AsyncFunctionDef() | ast.Await():
                found.add("await")
    return found


@pytest.mark.parametrize("module", [module for module in MODULES if module[0] == "core"], ids="/".join)
def test_core_is_pure(module: tuple[str, ...]) -> None:
    assert impurities(_parsed(module)) == set()


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import os.path", {"os"}),
        ("from importlib import resources", {"importlib"}),
        ("from pathlib import Path as P", {"pathlib"}),
        ("def read():\n    import io", {"io"}),
        ("lines = list(open('lists.toml'))", {"open"}),
        ("read = open", {"open"}),
        ("with PATH.open() as lines: pass", {"open"}),
        ("async def read(): pass", {"await"}),
        ("from itertools import takewhile", set()),
    ],
)
def test_impurity_is_found(code: str, found: set[str]) -> None:
    assert impurities(ast.parse(code)) == found


def test_no_module_has_a_vague_name() -> None:
    assert not {part for module in MODULES for part in module} & {"utils", "helpers", "manager", "base", "misc"}


@pytest.mark.parametrize("name", IMPORTED)
def test_module_has_what_it_exports(name: str) -> None:
    """Each name of `__all__` exists, is listed once, and is public."""
    module = importlib.import_module(name)
    exported = getattr(module, "__all__", [])
    assert [name for name in exported if not hasattr(module, name)] == []
    assert len(set(exported)) == len(exported)
    assert [name for name in exported if name.startswith("_")] == []


@pytest.mark.parametrize("name", IMPORTED)
def test_module_exports_something(name: str) -> None:
    """Only packages have no `__all__`."""
    module = importlib.import_module(name)
    assert hasattr(module, "__all__") or hasattr(module, "__path__")
