"""Imports point down: the house has storeys, and nobody reaches for what is above."""

import ast
import importlib
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "bley"

STOREYS = [
    ["__main__"],
    ["cli"],
    ["commands"],
    ["daemon"],
    ["server", "web"],
    ["predecessors", "service", "status"],
    ["checks", "dns", "log", "store"],
    ["metrics", "ports", "settings"],
    ["coalescer", "core", "durable_files", "operator_files"],
    ["__init__"],
]
"""From the roof down; a module may import from the storeys below its own, and within its own folder."""

PURE = {"asyncio", "logging", "os", "socket", "time", "random", "threading", "subprocess"}
"""What core must not import: it has no socket, clock, await or logging."""

MODULES = sorted(path.relative_to(SOURCE).with_suffix("").parts for path in SOURCE.rglob("*.py"))

IMPORTED = [".".join(("bley", *module)).removesuffix(".__init__") for module in MODULES if module[0][0] != "_"]


def storey(room: str) -> int:
    return next(number for number, rooms in enumerate(STOREYS) if room in rooms)


def imported(module: tuple[str, ...]) -> set[tuple[str, ...]]:
    """Every module that `module` imports, as its dotted parts."""
    names = set()
    for node in ast.walk(ast.parse(SOURCE.joinpath(*module).with_suffix(".py").read_text())):
        if isinstance(node, ast.Import):
            names |= {tuple(alias.name.split(".")) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module, f"{module} has a relative import"
            names.add(tuple(node.module.split(".")))
            if node.module == "bley":
                names |= {("bley", alias.name) for alias in node.names if not alias.name.startswith("__")}
    return names


def test_every_room_has_a_storey() -> None:
    rooms = {module[0] for module in MODULES}
    assert rooms == {room for rooms_of_storey in STOREYS for room in rooms_of_storey}


@pytest.mark.parametrize("module", MODULES, ids="/".join)
def test_imports_point_down(module: tuple[str, ...]) -> None:
    for name in imported(module):
        if name[0] != "bley" or len(name) == 1:
            continue
        room = name[1]
        assert room == module[0] or storey(room) > storey(module[0]), f"{'/'.join(module)} imports {'.'.join(name)}"


@pytest.mark.parametrize("module", [module for module in MODULES if module[0] == "core"], ids="/".join)
def test_core_is_pure(module: tuple[str, ...]) -> None:
    assert not {name[0] for name in imported(module)} & PURE
    tree = ast.parse(SOURCE.joinpath(*module).with_suffix(".py").read_text())
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef | ast.Await)]


def test_no_room_is_a_junk_room() -> None:
    assert not {part for module in MODULES for part in module} & {"utils", "helpers", "manager", "base", "misc"}


@pytest.mark.parametrize("name", IMPORTED)
def test_module_has_what_it_exports(name: str) -> None:
    """Each name of `__all__` exists, stands there once, and is public."""
    module = importlib.import_module(name)
    exported = getattr(module, "__all__", [])
    assert [name for name in exported if not hasattr(module, name)] == []
    assert len(set(exported)) == len(exported)
    assert [name for name in exported if name.startswith("_")] == []


@pytest.mark.parametrize("name", IMPORTED)
def test_module_exports_something(name: str) -> None:
    """Only packages, which are but folders, have no `__all__`."""
    module = importlib.import_module(name)
    assert hasattr(module, "__all__") or hasattr(module, "__path__")
