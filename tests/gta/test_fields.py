"""Every config field says what it is and whether it can change a result."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import get_type_hints

import pytest

from gta.config import Config
from gta.errors import UserError
from gta.fields import by_object, describe, params, result, result_fields
from gta.methods import METHODS

# Name of each field that came when there were cells already -> its default, which is in no signature and so for good.
LATER: dict[str, object] = {
    "model.mask_predictor": "output", "model.register_tokens": 0, "model.dry": False, "model.patch": 0,
    "schedule.scale_lr": False, "deterministic": True, "tf32": "convolutions", "compile": False,
    "schedule.optimizer": "sgd", "schedule.lr_schedule": "poly", "schedule.lr_warm_up": 0,
    "model.low_level_channels": 0, "model.head_kernel": 3, "schedule.ema_delay": 0, "schedule.ema_delay_epochs": 0,
    "data.augment.weak": [], "data.augment.strong": [], "data.augment.strong_draws": [],
    "evaluation.batch": 1, "evaluation.precision": "fp32",
}  # fmt: skip

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


@dataclass(frozen=True, kw_only=True)
class Older:
    lr: float = result(0.1, "Learning rate.", within=(0, 1))


@dataclass(frozen=True, kw_only=True)
class Newer(Older):
    tokens: int = result(0, "Tokens.", within=(0, 4), later=True)
    rates: list[int] = result([1, 2], "Rates.", within=(1, 9), later=True)


def test_a_field_that_came_later_counts_where_it_is_not_at_its_default() -> None:
    """Cells of before are the same cells, and those that say otherwise are others."""
    assert result_fields(Newer()) == result_fields(Newer(tokens=0, rates=[1, 2])) == result_fields(Older())
    assert params(Newer()) == params(Older())
    assert result_fields(Newer(tokens=4)) == {"lr": 0.1, "tokens": 4}
    assert result_fields(Newer(rates=[1])) == {"lr": 0.1, "rates": [1]}
    assert params(Newer(tokens=4))["tokens"] == "4"


def test_the_default_of_a_field_that_came_later_stays() -> None:
    """If this fails, cells of two defaults would have one signature: a new default wants a new field."""
    rows = {name: row for schema in SCHEMAS for name, row in describe(schema, _prefix(schema)).items()}
    assert {name: row["default"] for name, row in rows.items() if row["later"]} == LATER


def test_what_is_asked_of_the_same_object_is_asked_once() -> None:
    asked: list[tuple[object, ...]] = []

    @by_object
    def ask(settings: Older, name: str) -> str:
        asked.append((settings.lr, name))
        if settings.lr > 0.5:
            raise UserError("too large")
        return f"{name}{settings.lr}"

    one, like, wrong = Older(), Older(), Older(lr=0.9)
    assert [ask(one, "a"), ask(one, "a"), ask(one, "b"), ask(like, "a")] == ["a0.1", "a0.1", "b0.1", "a0.1"]
    assert asked == [(0.1, "a"), (0.1, "b"), (0.1, "a")], "one that is equal may be another kind of object"
    for _ in range(2):
        with pytest.raises(UserError, match="too large"):
            ask(wrong, "a")
    assert len(asked) == 5, "an error is found out again"
    assert [ask(Older(lr=i / 1000), "c") for i in range(400)] == [f"c{i / 1000}" for i in range(400)], (
        "an object that is gone leaves its place in memory to another"
    )


def _prefix(schema: type) -> str:
    return "" if schema is Config else f"{schema.__name__}."
