"""Every field of every setting is tried with values that nobody can mean. The fields are those of the schema: a new one
is in it by itself.
"""

from __future__ import annotations

import contextlib
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, get_args

import pytest
from omegaconf import OmegaConf

from gta.cell import Cell
from gta.cli import main, trained
from gta.compose.compose import dump, read_config
from gta.compose.hydra import schema
from gta.compose.overrides import clear_words
from gta.compose.validate import check_config
from gta.config import Config, ScheduleConfig, ShapesConfig
from gta.data.prepare import prepare
from gta.errors import UserError
from gta.fields import check_values, describe, neutral, result
from gta.methods import METHODS
from gta.ranges import LINE, NAME, PATH, Span, Values, shown
from tests.helpers.cells import config, split
from tests.helpers.configs import changed

NUMBERS: list[Any] = [
    -1, 0, 1, 2, 2**31, 2**63, 2**64, -(2**64), 10**400, -1.0, -0.0, 0.5, 1.5, 1e-320, 1e30, 1e300, math.nan, math.inf,
    -math.inf, True,
]  # fmt: skip
TEXTS: list[Any] = [
    "", " ", "a", "nan", "-inf", "1e999", "0x10", "null", "???", "${seed}", "${", "a\\${b}", "../x", "..", "a/../b",
    "a/b", "~", "~nobody_of_this_name/x", "a\nb", "a\rb", "\x00", "\x1b[31m", "\x7f", "\x85", "\u2028", "\ud800",
    "a" * 300, "x/" * 3000, "$(x)", "';x", "%j", b"x",
]  # fmt: skip
LISTS: list[Any] = [
    [], [None], [0], [-1], [math.nan], [0.5, math.inf, 1], [0.5, 0.5, 0.5], [-1, -1, -1], [2**64], [True], ["a", "a"],
    ["a", "\n"], [""], [[]], [[0, 0]], [[0, 0], [0, 0]], [[0, 1], [1, 0]], [[0, 2**64]], [["a"]], [[[0]]], [0] * 300,
    (0.5,), {0},
]  # fmt: skip
MAPPINGS: list[Any] = [
    {}, {"a": 1}, {"a": -1}, {"a": math.nan}, {"a": "\n"}, {"a": None}, {"a": [1]}, {"a b": 1}, {"": 1}, {1: 2},
    {"a\n": "b"}, ShapesConfig(), object(), int,
]  # fmt: skip
NONSENSE = [None, *NUMBERS, *TEXTS, *LISTS, *MAPPINGS]


def small() -> Config:
    """A config that is right, with every part of the schema in it."""
    return changed(config(), {"data.generator": ShapesConfig(train=4, val=2, size=16), "data.crop_size": 16})


def every_field() -> Iterator[tuple[str, str, Values]]:
    """(method, dotted name, what it may hold) of every leaf of the schema; common ones once."""
    for name, row in describe(Config).items():
        if not name.startswith("method."):
            yield "gta", name, row["values"]
    for method in METHODS:
        for name, row in describe(METHODS.config(method), "method.").items():
            yield method, name, row["values"]


FIELDS = list(every_field())
IDS = [name if method == "gta" else f"{method} {name}" for method, name, _ in FIELDS]


def drawn(name: str) -> list[Any]:
    """Values of all magnitudes and letters, the same ones each time."""
    rng = random.Random(name)
    numbers = [rng.choice((-1, 1)) * 10 ** rng.uniform(-320, 308) for _ in range(5)]
    integers = [rng.choice((-1, 1)) * rng.getrandbits(rng.randint(1, 100)) for _ in range(5)]
    letters = ["".join(chr(rng.randrange(0x3000)) for _ in range(rng.randint(1, 8))) for _ in range(5)]
    return [*numbers, *integers, *letters, numbers[:3], integers[:3], letters[:2]]


@pytest.mark.parametrize(("method", "name", "values"), FIELDS, ids=IDS)
def test_a_value_is_in_range_or_refused_in_a_sentence(method: str, name: str, values: Values) -> None:
    """Whatever stands in a field: a sentence that names it and what it may be, or a config that is in its ranges."""
    right = replace(small(), method=METHODS.config(method)())
    check_config(right)
    for value in [*NONSENSE, *drawn(name)]:
        wrong = changed(right, {name: value})
        said = refusal(lambda wrong=wrong: check_config(wrong))  # type: ignore[misc]
        if not said:
            assert values.holds(value), f"{name}={value!r} is accepted"
            assert harmless(asdict(wrong), name == "site.setup"), f"{name}={value!r} is accepted"
            continue
        assert harmless(said), f"{name}={value!r}: one line"
        assert len(said) < 700
        if not values.holds(value) and value != "???":
            assert said == f"{name} is {shown(value)}; it must be {values}.", f"{value!r}"


def refusal(check: Callable[[], object]) -> str:
    """The sentence by which something is refused; empty where it is not. Any other exception goes through."""
    try:
        check()
    except UserError as error:
        return str(error)
    return ""


def harmless(value: Any, script: bool = False) -> bool:
    """No NaN, no infinity, no number that 64 bits cannot hold, no control character; said without the declarations."""
    if isinstance(value, dict):
        return all(harmless(item, script) for pair in value.items() for item in pair)
    if isinstance(value, list | tuple):
        return all(harmless(item, script) for item in value)
    if isinstance(value, str):
        control = [letter for letter in value if ord(letter) < 32 or 127 <= ord(letter) < 160]
        return all(script and letter in "\n\t" for letter in control)
    return value is None or (math.isfinite(value) and abs(value) < 2**63)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A working folder with the small data set; what is written beside it by `..` is in a folder of the test's, too."""
    folder = tmp_path_factory.mktemp("ranges") / "a/b"
    folder.mkdir(parents=True)
    with contextlib.chdir(folder):
        prepare(_in(folder, small()).data)
        yield folder


def _in(folder: Path, made: Config) -> Config:
    return changed(made, {"data.root": str(folder / "toy"), "data.split": "1/2", "data.split_dir": "splits"} | {
        "data.classes": ["background", "red", "green", "cyan", "violet"], "paths.runs": str(folder / "runs")
    })  # fmt: skip


TRIED = 12  # values of each field as they are composed: those above are tried all


@pytest.mark.slow
@pytest.mark.parametrize(("method", "name", "values"), FIELDS, ids=IDS)
def test_a_composed_value_makes_a_cell_that_can_be_read_again_or_is_refused(
    method: str, name: str, values: Values, place: Path
) -> None:
    """As from a YAML file or the command line: what is accepted can be frozen, and is read as what it was."""
    right = replace(_in(place, small()), method=METHODS.config(method)())
    section, _, rest = name.rpartition(".")
    base = schema(select(right, section))
    everything = [value for value in [*NONSENSE, *drawn(name)] if not isinstance(value, tuple)]
    tried = [value for value in everything if not str(value).startswith("/")]  # nothing is written outside
    splits: dict[str, Any] = {}
    for value in random.Random(name).sample(tried, TRIED):
        made: list[Cell] = []

        def prepare_it(value: Any = value, made: list[Cell] = made) -> None:
            node = base.copy()
            with clear_words():
                OmegaConf.update(node, rest, value)
                part = OmegaConf.to_object(node)
            made.append(Cell.prepare(changed(right, {section: part}) if section else part, splits))

        if said := refusal(prepare_it):
            assert harmless(said.splitlines()[0]), f"{name}={value!r}"
            continue
        (cell,) = made
        assert harmless(asdict(cell.config), name == "site.setup"), f"{name}={value!r} is accepted"
        frozen = place / "config.yaml"
        frozen.write_text(dump(cell.config), encoding="utf-8")
        assert read_config(frozen) == cell.config, f"{name}={value!r}"


def select(part: Any, name: str) -> Any:
    """A part of a config by its dotted name; the config itself for none."""
    for word in name.split(".") if name else ():
        part = getattr(part, word)
    return part


def test_every_number_has_a_range() -> None:
    """Of what is beside other values, too: in a list, a mapping, or null."""

    def holds_numbers(hint: Any) -> bool:
        return hint in (int, float) or any(holds_numbers(inner) for inner in get_args(hint))

    without = {
        name for _, name, values in FIELDS if holds_numbers(values.hint) and not (values.within or values.choices)
    }
    assert not without, "declare the range: result(..., within=(LOW, HIGH))"


def test_a_field_without_a_range_takes_no_nonsense_either() -> None:
    """As a method of somebody's own may declare it."""
    assert not Values(float).holds(math.nan)
    assert not Values(float).holds("1")
    assert not Values(int).holds(2**64)
    assert not Values(int).holds(True)
    assert not Values(str).holds("a\nb")
    assert Values(float).holds(3)
    assert Values(float | None).holds(None)


@pytest.mark.parametrize(
    ("values", "right", "wrong", "words"),
    [
        (Values(float, Span(0, 1)), [0, 1, 0.5, -0.0], [-1e-9, 1.1, math.nan], "a number, 0 to 1"),
        (Values(float, Span(0, 1, above=True)), [1e-9, 1], [0, 0.0], "a number, above 0 to 1"),
        (Values(float, Span(0, 1, below=True)), [0, 0.999], [1, 1.0], "a number, 0 to below 1"),
        (Values(int, Span(16, 99, or_zero=True)), [0, 16, 99], [1, 15, 100], "a whole number, 0, or 16 to 99"),
        (Values(int | None, Span(1, 9)), [None, 1], [0, 1.0, True], "a whole number, 1 to 9, or null"),
        (Values(list[float], Span(0, 1), count=(3, 3)), [[0, 1, 0.5]], [[0, 1], [0, 1, 2], 1],
         "a list of 3 numbers, 0 to 1"),
        (Values(list[list[int]], Span(0, 9)), [[], [[1], [2, 3]]], [[1], [[10]]],
         "a list of lists of whole numbers, 0 to 9"),
        (Values(dict[str, float], Span(0, 9, above=True)), [{}, {"a": 1}], [{"a": 0}, {"a b": 1}, []],
         "a mapping of words to numbers, above 0 to 9"),
        (Values(str, choices=("a", "b", "c")), ["a"], ["d", None, ["a"]], "a, b or c"),
        (Values(str, text=NAME), ["a", "voc 2012"], ["", ".", "..", "a/b", "~a", "x" * 256], NAME.what),
        (Values(str, text=PATH), ["a", "/a/../b", "~/x", "sub folder/ä"], ["", " ", "a\0", "ä" * 150], PATH.what),
        (Values(str, text=LINE), ["", "a b"], ["\t", "\x9b", "\ud800", "x" * 5000], LINE.what),
    ],
)  # fmt: skip
def test_what_a_field_may_hold(values: Values, right: list[Any], wrong: list[Any], words: str) -> None:
    assert [value for value in right if not values.holds(value)] == []
    assert [value for value in wrong if values.holds(value)] == []
    assert str(values) == words


def test_what_is_not_given_is_passed_over_until_a_cell_is_made() -> None:
    """A method runs from a schedule without a word on how often to evaluate; a cell does not."""
    check_values(ScheduleConfig(iterations=5), "schedule.")
    with pytest.raises(UserError, match=r"schedule\.eval_every is not given"):
        check_config(changed(small(), {"schedule.eval_every": "???"}))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"data.classes": ["a", "b", "a"]}, "data.classes names 'a' twice"),
        ({"data.augment.scale_min": 2.0, "data.augment.scale_max": 1.0}, "scale_min=2.0 is above .*scale_max=1.0"),
        ({"data.generator.min_objects": 9}, "min_objects=9 is above data.generator.max_objects=4"),
        ({"method.name": "fixmatch"}, "choose it by method=fixmatch"),
        ({"method.name": "gtaa"}, "no such method; did you mean gta"),
        ({"model.stem": "plain"}, "the tiny encoder has no such setting"),
        ({"model.encoder": "resnet18"}, "resnet18 has no such setting: leave it at 0"),
        ({"data.ignore_index": 1}, "also the class 1"),
    ],
)
def test_what_two_fields_say_together_is_refused_too(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        check_config(changed(small(), changes))


def test_a_text_with_dollar_and_braces_is_frozen_as_it_stands(tmp_path: Path) -> None:
    """A line of shell, a folder of the node's: nothing of ours is meant by it."""
    for number, text in enumerate(("export A=${HOME}/x", "\\${A}", "\\\\${A}", "${A:-${B}}")):
        made = changed(config(), {"site.setup": [text], "site.stage": text, "paths.runs": str(tmp_path / str(number))})
        cell = Cell.of(made, split())
        cell.write()
        assert read_config(cell.folder.config_file) == made


def test_declarations_take_a_pair_or_a_span() -> None:
    assert result(1, "It is.", within=(0, 2)).metadata["within"] == Span(0, 2)
    assert neutral(1, "It is.", within=Span(0, 2, above=True)).metadata["within"].above
    with pytest.raises(TypeError):
        result(1, "It is.", whithin=(0, 2))


@pytest.mark.parametrize(
    "words",
    [
        ("plan", "sweep=shapes", "schedule.lr=nan"),
        ("multirun", "sweep=shapes", "sweep_name=../../x"),
        ("train", "schedule.ema_decay=2"),
        ("eval", "--checkpoint", "x.pth", "evaluation.scales=[nan]"),
        ("data", "check", "data.mean=[nan,0,0]"),
    ],
    ids=lambda words: words[0],
)
def test_each_command_refuses_before_anything_is_made(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main.main(list(words)) == 2
    name = words[-1].partition("=")[0]
    assert f"{name} is " in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_another_way_of_scoring_is_in_range_too() -> None:
    right = small()
    assert trained.changed(right, ["schedule.eval_images=1"]).schedule.eval_images == 1
    for word in ("schedule.eval_images=-1", "site.workers=-1", "evaluation.stride=nan"):
        with pytest.raises(UserError, match="it must be a"):
            trained.changed(right, [word])
