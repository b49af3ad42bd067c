"""`retry`: which words are resources, and what they mean."""

from __future__ import annotations

import pytest

from gta.cli.retry import as_settings, minutes


def test_resources_are_settings_of_the_site() -> None:
    asked = {"mem": 64, "time": 120, "constraint": "a100", "gpus": 0, "exclude": "n1,n2", "qos": None}
    assert as_settings(asked) == [
        "site.mem_gb=64", "site.time_limit=120", "site.constraint='a100'", "site.gpus_per_node=0",
        "site.exclude='n1,n2'",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "value"),
    [("90", 90), ("90m", 90), ("1.5h", 90), ("1d", 1440), ("2:30:00", 150), ("1-00:00:30", 1441)],
)
def test_times(text: str, value: int) -> None:
    assert minutes(text) == value
