from importlib.machinery import ModuleSpec

import pytest

from bley import __version__
from bley.commands import build


@pytest.mark.parametrize(
    ("file", "described"),
    [
        ("/usr/lib/bley/core/wire.py", __version__),
        ("/usr/lib/bley/core/wire.cpython-311-x86_64-linux-gnu.so", f"{__version__} (compiled)"),
    ],
)
def test_the_version_tells_the_compiled_wheel(file: str, described: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "find_spec", lambda name: ModuleSpec(name, None, origin=file))
    assert build.described_version() == described
