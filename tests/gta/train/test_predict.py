"""predict, and eval of another protocol or a public checkpoint, as a user runs them on a small trained cell."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gta.cli.main import main
from gta.config import ModelConfig
from gta.models import build_model
from gta.train import predictions
from tests.helpers.program import SMALL_SCHEDULE, SMALL_SHAPES
from tests.helpers.works import whole, works

pytestmark = pytest.mark.slow

Say = Callable[..., str]
GRID = (*SMALL_SHAPES, *SMALL_SCHEDULE, "data.split=1/5", "method=supervised", "seed=0")


@pytest.fixture(scope="module")
def cell(generated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained cell: its folder."""
    folder = tmp_path_factory.mktemp("predict")
    paths = [f"paths.{name}={folder / name}" for name in ("splits", "runs", "results")]
    assert main(["train", *GRID, f"paths.data={generated}", *paths]) == 0
    return next((folder / "runs/cells").iterdir())


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Say:
    """Runs a command in this process, in tmp_path; its output, or with `code=2` its error."""
    monkeypatch.chdir(tmp_path)

    def run(*words: object, code: int = 0) -> str:
        capsys.readouterr()
        found = main([str(word) for word in words])
        shown = capsys.readouterr()
        assert found == code, shown.err
        return shown.err if code else shown.out

    return run


def miou(shown: str) -> float:
    return float(shown.split("mIoU ")[1].split()[0])


def test_masks_are_the_classes_and_overlays_the_colours(
    cell: Path, say: Say, tmp_path: Path, generated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The masks that predict writes have the mIoU that eval prints."""
    monkeypatch.setattr("gta.bars.shown", nullcontext)
    with works() as kept:
        assert "6 images in out" in say("predict", cell, "--out", "out")
    assert whole(kept)["labeling images"] == 6
    masks, overlays = sorted((tmp_path / "out/masks").iterdir()), sorted((tmp_path / "out/overlays").iterdir())
    assert [path.name for path in masks] == [path.name for path in overlays] == [f"val_{i:05d}.png" for i in range(6)]
    counts = np.zeros((5, 5))
    for path in masks:
        picture = Image.open(path)
        assert (picture.mode, picture.size) == ("P", (48, 48))
        assert picture.getpalette()[3:6] == [230, 40, 40], "the data set's own colours"
        guess, truth = np.array(picture), np.array(Image.open(generated / "shapes/SegmentationClass" / path.name))
        np.add.at(counts, (truth[truth != 255], guess[truth != 255]), 1)
    with np.errstate(invalid="ignore"):
        iou = np.diag(counts) / (counts.sum(0) + counts.sum(1) - np.diag(counts))
    assert miou(say("eval", cell)) == pytest.approx(100 * np.nanmean(iou), abs=0.006)

    image = np.array(Image.open(generated / "shapes/JPEGImages/val_00000.jpg").convert("RGB")).astype(int)
    colours = np.array(Image.open(masks[0]).convert("RGB")).astype(int)
    assert np.array_equal(np.array(Image.open(overlays[0])), (image + colours) // 2)


def test_images_of_a_folder_and_of_a_list(cell: Path, say: Say, tmp_path: Path) -> None:
    (tmp_path / "pictures/berlin").mkdir(parents=True)
    Image.new("RGB", (40, 30), "red").save(tmp_path / "pictures/berlin/berlin_000000_000019_leftImg8bit.png")
    Image.new("L", (20, 50), 90).save(tmp_path / "pictures/gray.jpg")
    say("predict", cell, "--out", "out", "--images", "pictures", "evaluation.scales=[0.5,1.0]", "evaluation.flip=true")
    sizes = {path.name: Image.open(path).size for path in (tmp_path / "out/masks").iterdir()}
    assert sizes == {"berlin_000000_000019.png": (40, 30), "gray.png": (20, 50)}
    for name in ("pictures/berlin/berlin_000000_000019_leftImg8bit.png", "pictures/gray.jpg"):
        (tmp_path / name).unlink()
    for number, ending in enumerate(("tif", "BMP", "webp", "TIFF")):
        Image.new("RGB", (30 + number, 20), "red").save(tmp_path / f"pictures/{ending.lower()}.{ending}")
    (tmp_path / "pictures/notes.txt").write_text("no picture")
    os.mkfifo(tmp_path / "pictures/pipe.png")
    shown = say("predict", cell, "--out", "more", "--images", "pictures")
    assert "passed over, as no pictures by their names: pictures/notes.txt" in shown
    assert "passed over, as no files (a FIFO, a device, a link to nowhere): pictures/pipe.png" in shown
    sizes = {path.name: Image.open(path).size for path in (tmp_path / "more/masks").iterdir()}
    assert sizes == {"tif.png": (30, 20), "bmp.png": (31, 20), "webp.png": (32, 20), "tiff.png": (33, 20)}
    Image.fromarray(np.full((4, 6), 700, np.uint16)).save(tmp_path / "pictures/deep.png")
    assert "data.image_range=[0,1023]" in say("predict", cell, "--out", "o", "--images", "pictures", code=2)

    (tmp_path / "some.txt").write_text("val_00003\nval_00001\n")
    shown = say(
        "predict",
        cell,
        "--out",
        "two",
        "--list",
        "some.txt",
        "evaluation.protocol=sliding_window",
        "evaluation.window=32",
    )
    assert "2 images in two" in shown
    assert "sliding window 32, stride 2/3" in shown
    assert {path.stem for path in (tmp_path / "two/overlays").iterdir()} == {"val_00001", "val_00003"}


def test_cityscapes_wants_label_ids(tmp_path: Path) -> None:
    """Road, sky and bicycle are train ids 0, 10 and 18, and labelIds 7, 23 and 33."""
    predictions.save_label_ids(tmp_path / "a_pred_labelIds.png", np.array([[0, 10], [18, 0]], dtype=np.uint8))
    picture = Image.open(tmp_path / "a_pred_labelIds.png")
    assert picture.mode == "L"
    assert np.array(picture).tolist() == [[7, 23], [33, 7]]


def test_cityscapes_test_predictions_are_one_file_an_image(say: Say, tmp_path: Path, generated: Path) -> None:
    """A public checkpoint of 19 classes, on a folder as the test images lie in."""
    torch.save({"teacher_state": public_state(19)}, tmp_path / "public.pth")
    (tmp_path / "test/berlin").mkdir(parents=True)
    Image.new("RGB", (64, 32), "gray").save(tmp_path / "test/berlin/berlin_000000_000019_leftImg8bit.png")
    classes = f"data.classes=[{','.join(f'c{i}' for i in range(19))}]"
    words = [
        "--checkpoint",
        "public.pth",
        classes,
        *PUBLIC,
        "--out",
        "out",
        "--images",
        "test",
        "--format",
        "cityscapes",
    ]
    assert "teacher: " in say("predict", *words)
    (path,) = (tmp_path / "out").iterdir()
    assert path.name == "berlin_000000_000019_pred_labelIds.png"
    assert Image.open(path).size == (64, 32)
    assert set(np.unique(np.array(Image.open(path)))) <= set(predictions.CITYSCAPES_LABEL_IDS)


PUBLIC = ["data=shapes", "model=resnet18", "model.stem=deep", "model.decoder_channels=8", "site.workers=0"]


def public_state(classes: int) -> dict[str, torch.Tensor]:
    """A small network under the names of the public code and DDP."""
    torch.manual_seed(0)
    model = build_model(ModelConfig(encoder="resnet18", decoder_channels=8, aspp_rates=[12, 24, 36]), classes)
    modules = {
        "feature_extractor.encoder.": "encoder.",
        "feature_extractor.aspp.pooling.": "decoder.aspp.conv1.",
        **{f"feature_extractor.aspp.branches.{i}.": f"decoder.aspp.conv{i + 2}." for i in range(4)},
        "feature_extractor.head.": "decoder.head.",
        "feature_extractor.low_level.": "decoder.low_conv.",
        "mask_predictor.": "decoder.classifier.",
    }
    state = {}
    for name, tensor in model.state_dict().items():
        ours = next(ours for ours in modules if name.startswith(ours))
        state["module." + modules[ours] + name.removeprefix(ours)] = tensor
    return state


def test_a_public_checkpoint_is_scored_with_a_report(say: Say, tmp_path: Path, generated: Path) -> None:
    state = {"model_state": public_state(5), "teacher_state": public_state(5), "best_miou": np.float64(70.0)}
    torch.save(state, tmp_path / "public.pth")
    data = [*SMALL_SHAPES, f"paths.data={generated}"]
    shown = say("eval", "--checkpoint=public.pth", "--network=student", *PUBLIC, *data, "schedule.eval_images=2")
    assert "student: " in shown
    assert "none of the prediction path missing" in shown
    assert "background" in shown
    assert "(student, public.pth, original size, first 2 images)" in shown
    wrong = say("eval", "--checkpoint=public.pth", *PUBLIC, *data, "model.stem=plain", code=2)
    assert "no checkpoint of the configured network" in wrong


def test_a_cell_is_named_within_its_grid_as_in_every_command(
    cell: Path, say: Say, tmp_path: Path, generated: Path
) -> None:
    paths = [f"paths.data={generated}", *(f"paths.{name}={cell.parents[2] / name}" for name in ("splits", "runs"))]
    words = ("predict", "supervised/1/5/seed0", *GRID, *paths, "--out", "o", "evaluation.flip=true")
    assert "original size, flip" in say(*words, "sweep=shapes")
    assert len(list((tmp_path / "o/masks").iterdir())) == 6
    assert "of a trained cell, this changes only" in say(*words, code=2), "without a sweep"
    assert "no such cell; did you mean supervised/1/5/seed1" in say(*words, "sweep=shapes", "seed=1", code=2)


def test_eval_by_another_protocol(cell: Path, say: Say) -> None:
    whole = say("eval", cell)
    assert "original size" in whole
    cut = say("eval", cell, "evaluation.protocol=center_crop_padded_background", "evaluation.crop=64")
    assert "center crop 64, padding as background (only to compare)" in cut
    assert miou(cut) != miou(whole)
    assert "sliding window 16" in say("eval", cell, "evaluation.protocol=sliding_window", "evaluation.window=16")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["eval", "CELL", "schedule.lr=3"], "changes only evaluation."),
        (["eval", "CELL", "evaluation.protocoll=center_crop"], "protocoll"),
        (["eval", "CELL", "evaluation.protocol=centre"], "must be original_size"),
        (["predict", "CELL"], "--out FOLDER"),
        (["predict", "CELL", "--out=o", "--format=voc"], "is not one of 'pictures', 'cityscapes'"),
        (["predict", "CELL", "--out=o", "--format=cityscapes"], "19 train ids"),
        (["predict", "CELL", "--out=o", "evaluation.protocol=center_crop"], "scores a part"),
        (["predict", "CELL", "--out=o", "--images=nowhere"], "no picture"),
        (["predict", "CELL", "--out=o", "--images=a", "--list=b"], "give one of them"),
        (["predict", "--out=o"], "one cell"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_is_a_sentence(cell: Path, say: Say, words: list[str], said: str) -> None:
    shown = say(*(str(cell) if word == "CELL" else word for word in words), code=2)
    assert shown.startswith("error: ")
    assert said in shown
