"""Words for people: names that were meant, sizes."""

from __future__ import annotations

from gta.text import did_you_mean, first_line, human_bytes, no_formula, printable


def test_a_wrong_name_is_answered_with_the_nearest_or_with_all() -> None:
    assert did_you_mean("supervise", ["gta", "supervised"]) == "did you mean supervised?"
    assert did_you_mean("x", ["gta", "supervised"]) == "there are gta, supervised."
    assert did_you_mean("x", [*"abcdefghijklm"]) == "there are a, b, c, d, e, f, g, h, i, j, k, l, m."
    assert did_you_mean("xx", [*"abcdefghijklmn"]) == "there are a, b, c, d, e, f, g, h, i, j, k, l and 2 more."


def test_an_error_in_one_line_and_a_size_in_one_unit() -> None:
    assert first_line(ValueError("\n first\nsecond")) == "first"
    assert first_line(ValueError()) == "ValueError"
    assert [human_bytes(size) for size in (812, 1_240_000_000, 5 * 10**12)] == ["812 B", "1.2 GB", "5.0 TB"]


def test_what_a_terminal_would_act_on_is_spelled_out() -> None:
    text = "\x1b[31mred\x1b[0m \x1b[31;1Hmoved\x00\x7f\x85\n\té中😀"
    assert printable(text) == "\\x1b[31mred\\x1b[0m \\x1b[31;1Hmoved\\x00\\x7f\\x85\n\té中😀"
    assert printable(text, colours=True).startswith("\x1b[31mred\x1b[0m \\x1b[31;1Hmoved")


def test_what_a_spreadsheet_would_compute_is_a_text() -> None:
    for text in ("=1", "+a", "-a", "@a", "-", "-1-1", "\t=1", "\r=1"):
        assert no_formula(text) == f"'{text}"
    for text in ("-1.2", "+3", "-1e-05", "-.5", "a=1", "", "1/8 (50)"):
        assert no_formula(text) == text
