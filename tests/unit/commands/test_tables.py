"""Tables into a pipe."""

import pytest

from bley.commands.tables import print_table


def test_a_pipe_gets_one_plain_line_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    """However long, and with nothing in it that commands a terminal."""
    print_table(("name", "number"), [("a\x1b[31m\nb [bold]:smile:", "1"), ("x" * 300, "12")], right=("number",))
    shown = r"a\x1b[31m\x0ab [bold]:smile:"
    printed = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert printed == [
        f"{'name':<300}  number",
        f"{shown:<300}       1",
        f"{'x' * 300}      12",
    ]
