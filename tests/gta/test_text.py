"""Words for people: names that were meant, sizes."""

from __future__ import annotations

from gta.text import did_you_mean, first_line, human_bytes


def test_a_wrong_name_is_answered_with_the_nearest_or_with_all() -> None:
    assert did_you_mean("supervise", ["gta", "supervised"]) == "did you mean supervised?"
    assert did_you_mean("x", ["gta", "supervised"]) == "there are gta, supervised."


def test_an_error_in_one_line_and_a_size_in_one_unit() -> None:
    assert first_line(ValueError("\n first\nsecond")) == "first"
    assert first_line(ValueError()) == "ValueError"
    assert [human_bytes(size) for size in (812, 1_240_000_000, 5 * 10**12)] == ["812 B", "1.2 GB", "5.0 TB"]
