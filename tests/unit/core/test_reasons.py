"""The table of reasons is whole."""

import pytest

from bley.core.reasons import Reason


@pytest.mark.parametrize("reason", Reason, ids=str)
def test_a_row_is_whole(reason: Reason) -> None:
    row = reason.row
    assert row.says
    assert row.answer in ("DUNNO", "PREPEND", "DEFER_IF_PERMIT", "`on_store_error`")
    assert not row.says.endswith(".")
