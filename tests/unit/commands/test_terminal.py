"""Texts and tables on a narrow terminal."""

from rich.cells import cell_len

from bley.commands.terminal import hanging_lines, table_lines

TEXT = "2  mail.internationalbusinessmachines.example is not the name of the client, which is 209.85.214.19"
TITLES = ("list", "state", "answers", "last error")
ROWS = [("zen.spamhaus.org", "well", "1234", "-"), ("b.barracudacentral.org", "ill", "0", "2026-11-23 12:00 timeout")]


def test_a_text_breaks_between_words_and_is_indented() -> None:
    lines = list(hanging_lines(f"{'helo':<12}", TEXT, 80))
    assert lines == [
        "helo        2  mail.internationalbusinessmachines.example is not the name of the",
        "               client, which is 209.85.214.19",
    ]


def test_no_word_is_ever_broken_and_none_is_lost() -> None:
    for width in range(1, 120):
        lines = list(hanging_lines("request     ", TEXT, width))
        assert " ".join(lines).split() == ["request", *TEXT.split()]
        assert all(cell_len(line) <= width for line in lines if len(line.split()) > 3)


def test_a_text_that_fits_or_goes_into_a_pipe_stays_one_line() -> None:
    assert list(hanging_lines("then        ", TEXT, None)) == [f"then        {TEXT}"]
    assert list(hanging_lines("then        ", "passed  twice", 40)) == ["then        passed  twice"]


def test_a_command_is_never_broken() -> None:
    command = "bley pass --client 192.0.2.1 --sender 'a b@example.com' --recipient jane@example.org"
    assert list(hanging_lines("if this was wrong: ", "let it pass: ", 80, command)) == [
        "if this was wrong: let it pass:",
        f"    {command}",
    ]
    assert list(hanging_lines("", "let it pass: ", None, command)) == [f"let it pass: {command}"]


def test_wide_characters_count_twice() -> None:
    assert list(hanging_lines("", "日本語 日本語", 8)) == ["日本語", "日本語"]


def test_columns_that_do_not_fit_stand_below_their_row() -> None:
    assert list(table_lines(TITLES, ROWS, ("answers",), 44)) == [
        "list                    state  answers",
        "zen.spamhaus.org        well      1234",
        "b.barracudacentral.org  ill          0",
        "    last error 2026-11-23 12:00 timeout",
    ]


def test_every_cell_is_shown_whole_at_any_width() -> None:
    for width in range(1, 100):
        text = " ".join(" ".join(table_lines(TITLES, ROWS, ("answers",), width)).split())
        for cell in ("zen.spamhaus.org", "b.barracudacentral.org", "1234", "2026-11-23 12:00 timeout"):
            assert cell in text
