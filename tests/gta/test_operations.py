"""Lists of operations: what is refused, in which sentence, and that one list has one way of writing it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gta.cli import composing
from gta.compose import compose
from gta.compose.hydra import ConfigLoaderImpl, loader_of
from gta.compose.validate import check_config
from gta.config import AugmentConfig, Config
from gta.errors import UserError
from gta.fields import params, result_fields
from gta.operations import COLOUR, GEOMETRY, OPERATIONS, parameters
from launch.grid.grid import single_config
from tests.helpers.cells import config
from tests.helpers.configs import changed

CROP = {"op": "crop"}


def _with(**augment: Any) -> Config:
    made = changed(config(), {"data.augment": AugmentConfig(**augment)})
    assert isinstance(made, Config)
    return made


@pytest.mark.parametrize(
    ("augment", "says"),
    [
        ({"strong": [{"op": "blurr"}]}, "augment.strong[0]: 'blurr' is no operation here; did you mean blur?"),
        ({"strong": [{"op": "wobble"}]}, f"'wobble' is no operation here; there are {', '.join(COLOUR)}."),
        ({"weak": [{"op": "wobble"}]}, f"there are {', '.join((*GEOMETRY, *COLOUR))}."),
        ({"strong": [{"op": "flip"}]}, "flip is of the weak view alone"),
        ({"strong": [{"op": "blur", "sigma": [0, 1]}]}, "blur has no parameter 'sigma'; it has radius, probability."),
        ({"strong": [{"op": "identity", "radius": 1}]}, "identity has no parameter 'radius'; it has no parameters."),
        ({"strong": [{"op": "blur"}]}, "blur has no radius; it must be a list of 2 numbers, 0 to 100, the smaller"),
        ({"strong": [{"op": "blur", "radius": [2, 1]}]}, "radius of blur is [2, 1]; it must be a list of 2 numbers, 0"),
        ({"strong": [{"op": "blur", "radius": [0, 101]}]}, "radius of blur is [0, 101]; it must be"),
        ({"strong": [{"op": "blur", "radius": 2}]}, "radius of blur is 2; it must be a list of 2 numbers"),
        ({"strong": [{"op": "blur", "radius": [0.0, float("nan")]}]}, "radius of blur is [0.0, nan]; it must be"),
        ({"strong": [{"op": "brightness", "factor": [-1, 1]}]}, "it must be a list of 2 numbers, 0 to 10, the smaller"),
        ({"strong": [{"op": "hue", "shift": [-0.6, 0.5]}]}, "must be a list of 2 numbers, -0.5 to 0.5, the smaller"),
        ({"strong": [{"op": "posterize", "bits": [4.5, 7]}]}, "it must be a list of 2 whole numbers, 1 to 8"),
        ({"strong": [{"op": "posterize", "bits": [0, 7]}]}, "it must be a list of 2 whole numbers, 1 to 8"),
        ({"strong": [{"op": "solarize", "threshold": [1, 257]}]}, "it must be a list of 2 whole numbers, 0 to 256"),
        ({"strong": [{"op": "grayscale", "probability": 1.5}]}, "of grayscale is 1.5; it must be a number, 0 to 1."),
        ({"strong": [{"op": "jitter"}]}, "jitter changes nothing; give it some of brightness, contrast, saturation"),
        ({"weak": [{"op": "crop", "padding": "left"}]}, "padding of crop is 'left'; it must be random, centred or "
         "right_bottom."),
        ({"weak": [{"op": "crop", "colour": "red"}]}, "colour of crop is 'red'; it must be mean or black."),
        ({"weak": [CROP, {"op": "crop"}]}, "data.augment.weak has 2 operations crop"),
        ({"weak": [{"op": "flip"}]}, "data.augment.weak has 0 operations crop"),
        ({"weak": [CROP, {"op": "scale", "factor": [1, 2]}]}, "data.augment.weak[1]: scale comes after crop"),
        ({"weak": [{"op": "grayscale"}, CROP]}, "data.augment.weak[0]: grayscale comes before crop"),
        ({"weak": [{"op": "scale", "factor": [1, 2]}, {"op": "long_side", "pixels": [9, 10]}, CROP]}, "2 operations of "
         "scale and long_side"),
        ({"weak": [{"op": "scale", "factor": [1, 2], "draw": "log"}, CROP]}, "it must be uniform, halves or pixels."),
        ({"weak": [{"op": "long_side", "pixels": [0.5, 2]}, CROP]}, "must be a list of 2 whole numbers, 1 to 16,384"),
        ({"weak": [{}]}, "data.augment.weak[0] is {}; an operation has a name and parameters: {op: flip"),
        ({"weak": [{"op": 3}]}, "data.augment.weak[0] is {'op': 3}; an operation has a name"),
        ({"weak": [CROP], "scale_min": 0.7}, " is 0.7, and data.augment.weak lists operations, which say that: "
         "leave it at 0.5. (A file in conf/augment does by defaults: [plain, _self_].)"),
        ({"weak": [CROP], "flip": False}, "leave it at true."),
        ({"strong": [{"op": "identity"}], "hue": 0.0}, "leave it at 0.25."),
        ({"strong_draws": [1, 3]}, "data.augment.strong lists nothing to draw from"),
        ({"strong": [{"op": "identity"}], "strong_draws": [3, 1]}, "strong_draws is [3, 1]; give the fewest and the"),
        ({"strong": [{"op": "identity"}], "strong_draws": [2]}, "strong_draws is [2]; give the fewest and the most"),
        ({"strong": [{"op": "identity"}], "strong_draws": [0, 2]}, "data.augment.strong_draws is [0, 2]; it must be"),
        ({"strong": "blur"}, "strong is 'blur'; it must be a list of operations such as {op: blur, radius: [0.1, 2]}."),
        ({"strong": ["blur"]}, "data.augment.strong is ['blur']; it must be a list of operations such as"),
    ],
)  # fmt: skip
def test_what_makes_no_view_is_refused_in_a_sentence_that_says_what_there_is(
    augment: dict[str, Any], says: str
) -> None:
    with pytest.raises(UserError) as caught:
        check_config(_with(**augment))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_right_is_taken() -> None:
    check_config(_with(weak=[CROP]))
    check_config(_with(weak=[{"op": "flip"}, CROP, {"op": "flip", "probability": 0}, {"op": "equalize"}], hue=0.1))
    check_config(_with(strong=[{"op": "identity"}], strong_draws=[1, 1], scale_min=0.7))
    check_config(_with(strong=[{"op": "blur", "radius": [0, 0]}, {"op": "jitter", "hue": [-0.5, 0.5]}]))


def test_one_list_is_one_list_however_it_is_written() -> None:
    """Whole numbers or not, defaults said or left out, keys in any order: one cell."""
    long = AugmentConfig(weak=[
        {"draw": "uniform", "factor": [1, 2], "op": "scale"}, {"op": "flip", "probability": 0.5},
        {"op": "crop", "colour": "mean", "padding": "random"},
    ])  # fmt: skip
    short = AugmentConfig(weak=[{"op": "scale", "factor": [1.0, 2.0]}, {"op": "flip"}, CROP])
    assert long == short
    assert result_fields(long) == result_fields(short)
    assert params(long)["weak"] == params(short)["weak"]
    other = AugmentConfig(weak=[{"op": "flip"}, {"op": "scale", "factor": [1.0, 2.0]}, CROP])
    assert result_fields(other) != result_fields(short), "the order counts"
    assert parameters({"op": "crop"}) == {"padding": "random", "colour": "mean"}
    assert parameters({"op": "jitter", "hue": [0.0, 0.1]})["brightness"] is None


def test_without_lists_nothing_of_them_is_in_the_signature(loader: ConfigLoaderImpl) -> None:
    assert not {"weak", "strong", "strong_draws"} & result_fields(AugmentConfig()).keys()
    assert {"weak", "strong", "strong_draws"} <= result_fields(_composed(loader, "augment=augseg").data.augment).keys()


def _composed(loader: ConfigLoaderImpl, *words: str) -> Config:
    return compose.Composer(loader).cell(words)


# From the public codes (docs/explanation/method.md, "Views"), typed here once more.
JITTERED = [
    {"op": "jitter", "brightness": [0.5, 1.5], "contrast": [0.5, 1.5], "saturation": [0.5, 1.5], "hue": [-0.25, 0.25],
     "probability": 0.8},
    {"op": "grayscale", "probability": 0.2},
    {"op": "blur", "radius": [0.1, 2.0], "probability": 0.5},
]  # fmt: skip
WEAKER = [{"op": name, "factor": [0.05, 0.95]} for name in ("contrast", "brightness", "saturation", "sharpness")]
ELEVEN = [
    {"op": "identity"}, {"op": "autocontrast"}, {"op": "equalize"}, {"op": "blur", "radius": [0.1, 2.0]}, *WEAKER,
    {"op": "posterize", "bits": [4, 7]}, {"op": "solarize", "threshold": [1, 255]}, {"op": "hue", "shift": [-0.5, 0.5]},
]  # fmt: skip
HALVES = [{"op": "scale", "factor": [0.5, 2.0], "draw": "halves"}, {"op": "flip"}, {"op": "crop", "padding": "centred"}]
BLACK = [
    {"op": "scale", "factor": [0.5, 2.0], "draw": "pixels"},
    {"op": "crop", "padding": "right_bottom", "colour": "black"},
    {"op": "flip"},
]
RIGHT = [{"op": "flip"}, {"op": "crop", "padding": "right_bottom"}]
SETS: dict[str, tuple[list[Any], list[Any], list[int]]] = {
    "plain": ([], [], []),
    "gta": (HALVES, [{"op": "identity"}], []),
    "u2pl": (HALVES, [{"op": "identity"}], []),
    "unimatch": (BLACK, JITTERED, []),
    "unimatch_v2": (BLACK, JITTERED, []),
    "augseg": ([{"op": "long_side", "pixels": [250, 1000]}, *RIGHT], ELEVEN, [1, 3]),
    "augseg_cityscapes": ([{"op": "scale", "factor": [0.5, 2.0]}, *RIGHT], ELEVEN, [1, 3]),
}


def test_every_shipped_set_is_here() -> None:
    assert {path.stem for path in (compose.CONF / "augment").glob("*.yaml")} == SETS.keys()


@pytest.mark.parametrize("name", SETS)
def test_a_shipped_set_is_what_its_source_says(name: str, loader: ConfigLoaderImpl) -> None:
    """Whatever the data set's own settings are: shapes has many."""
    made = _composed(loader, "data=shapes", f"augment={name}")
    check_config(made)
    assert made.data.augment == AugmentConfig(**dict(zip(("weak", "strong", "strong_draws"), SETS[name], strict=True)))


def test_a_data_set_s_file_may_have_a_shipped_set_or_a_list_and_the_command_line_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "conf/data"
    folder.mkdir(parents=True)
    rest = "name: mine\nclasses: [a, b]\nsplit: 1/8\ncrop_size: 32\n"
    (folder / "mine.yaml").write_text(f"defaults: [/augment: augseg, _self_]\n{rest}")
    (tmp_path / "conf/augment").mkdir()
    (tmp_path / "conf/augment/own.yaml").write_text("defaults: [plain, _self_]\nweak: [{op: crop, colour: black}]\n")
    (folder / "listed.yaml").write_text(f"{rest}augment:\n  weak:\n  - {{op: crop, colour: black}}\n")

    loader = loader_of(composing.start())

    def augment(*words: str) -> AugmentConfig:
        return _composed(loader, *words).data.augment

    assert augment("data=mine").strong == ELEVEN
    assert augment("data=mine", "augment=unimatch").strong == JITTERED
    assert augment("data=listed") == AugmentConfig(weak=[{"op": "crop", "colour": "black"}])
    assert augment("data=shapes", "augment=own") == augment("data=listed")
    assert augment("data=listed", "augment=gta").weak == HALVES
    assert augment("data=listed", "data.augment.weak=[{op:flip},{op:crop}]").weak == [{"op": "flip"}, CROP]
    frozen = tmp_path / "config.yaml"
    made = _composed(loader, "data=shapes", "augment=augseg")
    frozen.write_text(compose.dump(made), encoding="utf-8")
    assert compose.read_config(frozen) == made


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("weak: [crop]", "an operation of a view is a mapping with its name, such as {op: flip}"),
        ("weak: [[crop]]", "an operation of a view is a mapping with its name, such as {op: flip}"),
        ("weak: {op: crop}", "a mapping stands where a list must be"),
        ("weak: crop", "data.augment.weak must be a list of operations such as {op: flip, probability: 0.5}"),
    ],
)
def test_what_is_no_list_of_operations_is_refused_with_its_file(
    lines: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf/data").mkdir(parents=True)
    (tmp_path / "conf/data/mine.yaml").write_text(
        f"name: mine\nclasses: [a, b]\nsplit: 1/8\ncrop_size: 32\naugment:\n  {lines}\n"
    )
    with pytest.raises(UserError) as caught:
        single_config(composing.start(), ["data=mine"])
    assert says in str(caught.value)
    assert "conf/data/mine.yaml" in str(caught.value)


@pytest.mark.parametrize("sweep", ["voc_dinov2", "cityscapes_dinov2", "ade20k", "coco", "backbones"])
def test_the_sweeps_of_unimatch_v2_s_setting_have_its_views(sweep: str, loader: ConfigLoaderImpl) -> None:
    made = _composed(loader, f"sweep={sweep}")
    assert (made.data.augment.weak, made.data.augment.strong) == (BLACK, JITTERED)


def test_every_operation_says_what_it_is() -> None:
    for name, operation in OPERATIONS.items():
        assert operation.what.endswith("."), name
        assert all(one.what and str(one) for one in operation.parameters.values()), name
