"""Every shipped data set description is valid; VOC's two share a folder and find the published lists."""

from __future__ import annotations

from pathlib import Path

import pytest
from omegaconf import OmegaConf

import gta
from gta.compose.hydra import schema as schema_of
from gta.config import Config, DataConfig
from gta.data.conventions import CONVENTIONS, asked_for
from gta.data.lists import digest, read_ids
from gta.data.prepare import prepare
from gta.data.spec import check_label_map
from gta.data.splits.split import load_split
from gta.errors import UserError

CONF = Path(gta.__file__).parent / "conf" / "data"


def _config(name: str, data: Path | str = "data", splits: Path | str = "splits") -> DataConfig:
    schema = schema_of(Config)
    node = OmegaConf.load(CONF / f"{name}.yaml")
    for base in [base for base in node.pop("defaults", []) if base != "_self_"]:
        node = OmegaConf.merge(OmegaConf.load(CONF / f"{base}.yaml"), node)
    schema.data = OmegaConf.merge(schema.data, node)
    schema.paths.data, schema.paths.splits = str(data), str(splits)
    made = OmegaConf.to_object(schema.data)
    assert isinstance(made, DataConfig)
    return made


@pytest.mark.parametrize("name", sorted(path.stem for path in CONF.glob("*.yaml")))
def test_a_shipped_description_is_whole(name: str) -> None:
    config = _config(name)
    assert config.name == name.removesuffix("_trainids").removesuffix("_category_ids")
    check_label_map(config)
    assert len(set(config.classes)) == len(config.classes) > 1
    assert len(config.palette) in (0, len(config.classes))
    assert config.crop_size > 0
    assert config.augment.scale_min <= config.augment.scale_max
    assert config.val_list.endswith("val.txt")


def test_kinds_of_masks_are_those_that_the_descriptions_read() -> None:
    for kinds in CONVENTIONS.values():
        for kind in kinds:
            assert asked_for(_config(kind.data)) == kind


def test_ade20k_and_coco() -> None:
    raw, coco = _config("ade20k"), _config("coco")
    assert (len(raw.classes), raw.classes[0], raw.classes[-1]) == (150, "wall", "flag")
    assert (len(coco.classes), coco.classes[0], coco.classes[80]) == (81, "background", "toothbrush")
    of_id = {pair[0]: coco.classes[pair[1]] for pair in _config("coco_category_ids").label_map}
    known = {
        1: "person",
        13: "stop_sign",
        27: "backpack",
        44: "bottle",
        67: "dining_table",
        84: "book",
        90: "toothbrush",
    }
    assert {number: of_id[number] for number in known} == known


def test_voc() -> None:
    classic, blender = _config("voc_classic"), _config("voc_blender")
    assert len(classic.classes) == 21
    assert classic.root == blender.root == "data/voc"
    assert classic.classes == blender.classes


@pytest.mark.parametrize("name", ["voc_classic", "voc_blender"])
def test_voc_finds_the_published_lists_where_their_folder_is_given(shared: Path, tmp_path: Path, name: str) -> None:
    config = _config(name, splits=shared / "splits")
    counts = [len(read_ids(Path(config.split_dir) / config.split / f)) for f in ("labeled.txt", "unlabeled.txt")]
    assert counts[0] == int(config.split)
    assert sum(counts) == 10582
    with pytest.raises(UserError, match=f"Data set {name}: the folder .*voc is not there"):
        prepare(_config(name, data=tmp_path, splits=shared / "splits"))


def test_shapes_is_generated_and_split(tmp_path: Path) -> None:
    config = _config("shapes", data=tmp_path / "data", splits=tmp_path / "splits")
    prepare(config)
    split = load_split(config)
    assert (len(split.labeled), len(split.unlabeled), len(split.val)) == (8, 392, 200)
    assert (tmp_path / "splits/shapes/seed0/1_50/labeled.txt").is_file()


def test_camvid(shared: Path, tmp_path: Path) -> None:
    config = _config("camvid", data=shared / "datasets", splits=tmp_path)
    assert config.classes == (shared / "datasets/camvid/classes.txt").read_text().split()
    prepare(config)
    split = load_split(config)
    test = read_ids(Path(config.root) / "ImageSets/Segmentation/test.txt")
    assert not set(test) & {*split.labeled, *split.unlabeled, *split.val}
    assert (len(split.labeled), len(split.val), split.ratio) == (46, 101, "1/8")
    assert len(digest(split.labeled)) == 64
