"""Every config field says what it is and whether it can change a result."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import get_type_hints

import pytest

from gta.config import Config
from gta.fields import describe, result_fields
from gta.methods import METHODS

SCHEMAS = [Config, *(method.Config for method in METHODS.values())]


def every_schema(schema: type) -> list[type]:
    found = [schema]
    for hint in get_type_hints(schema).values():
        inner = next((t for t in (hint, *getattr(hint, "__args__", ())) if is_dataclass(t)), None)
        if inner:
            found += every_schema(inner)  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.__name__)
def test_every_field_is_declared(schema: type) -> None:
    for owner in every_schema(schema):
        for item in fields(owner):
            assert "neutral" in item.metadata, (
                f"{owner.__name__}.{item.name}: declare it with result(...) or neutral(...)"
            )
            assert item.metadata["help"].endswith("."), f"{owner.__name__}.{item.name}: say what it is, in a sentence"


def test_what_is_below_a_neutral_field_is_neutral() -> None:
    rows = describe(Config)
    assert all(row["neutral"] for name, row in rows.items() if name.startswith(("site.", "paths.")))
    assert not rows["schedule.lr"]["neutral"]
    assert rows["schedule.log_every"]["neutral"]


def test_result_fields_leave_out_what_cannot_change_a_result() -> None:
    kept = result_fields(Config())
    assert "site" not in kept
    assert "paths" not in kept
    assert "root" not in kept["data"]
    assert kept["schedule"]["power"] == 0.9
    assert "num_threads" in kept, "the order of sums on a CPU depends on it"
