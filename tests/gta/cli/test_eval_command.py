"""`gta eval`: cells and grids under several protocols at once, what is recorded of them, and `gta table --protocol`."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gta import evaluations
from gta.cellfolder import CellFolder
from gta.cli.main import main
from gta.evaluations import Evaluation
from gta.provenance import code
from gta.tracking import store
from gta.train import evaluate
from tests.helpers.program import SMALL_SCHEDULE, SMALL_SHAPES

pytestmark = pytest.mark.slow

Say = Callable[..., tuple[str, str]]
SLIDING = "evaluation.protocol=original_size,sliding_window"
WINDOW = "sliding window 48, stride 2/3, mean of logits"


@pytest.fixture(scope="module")
def grid(generated: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The words of a grid of two trained cells; the one of gta kept what it found in each image."""
    folder = tmp_path_factory.mktemp("eval")
    paths = [f"paths.{name}={folder / name}" for name in ("splits", "runs", "results")]
    words = [*SMALL_SHAPES, *SMALL_SCHEDULE, f"paths.data={generated}", *paths, "data.split=1/5", "site.device=cpu"]
    assert main(["train", *words, "method=supervised"]) == 0
    assert main(["train", *words, "method=gta", "evaluation.by_image=true"]) == 0
    return [*words, "method=supervised,gta"]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Say:
    """Runs a command in this process, in tmp_path: what it printed, and its errors."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str, code: int = 0) -> tuple[str, str]:
        capsys.readouterr()
        found = main(list(words))
        shown = capsys.readouterr()
        assert found == code, shown.err
        return shown.out, shown.err

    return run


def folders(grid: list[str]) -> dict[str, CellFolder]:
    runs = next(Path(word.partition("=")[2]) for word in grid if word.startswith("paths.runs="))
    found = [CellFolder(path) for path in sorted((runs / "cells").iterdir())]
    return {cell.identity().method: cell for cell in found}  # type: ignore[union-attr]


def test_a_grid_by_several_protocols_is_recorded_skipped_and_shown(
    grid: list[str], say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = folders(grid)
    (kept,) = [one for one in evaluations.all_of(own["gta"]) if one.network == "student"]
    counted = evaluations.read_by_image(own["gta"], kept)
    assert counted is not None, "training kept it"
    assert kept.miou == own["gta"].result().networks["student"].last.miou  # type: ignore[union-attr]
    assert counted.ids == [f"val_{number:05d}" for number in range(6)]

    table, _ = say("table", *grid, "--protocol", "own,sliding_window", "--bootstrap")
    assert "2 of 2 cells are missing (2 not scored by sliding_window): gta eval" in table
    assert "Not known by image: supervised 1/5 (8) own; `gta eval" in table, "of gta training kept it"
    scored, _ = say("eval", *grid, SLIDING, "--network", "all")
    assert len(scored.splitlines()) == 2 + 4, "the student; student and teacher of gta"
    assert scored.count(WINDOW) == 3
    assert scored.count("recorded before") == 0, "what is needed of a cell is made in one go"
    found = {method: evaluations.all_of(cell) for method, cell in own.items()}
    assert {method: len(of_cell) for method, of_cell in found.items()} == {"supervised": 2, "gta": 4}
    for method, cell in own.items():
        result = cell.result()
        assert result is not None
        for one in found[method]:
            assert (one.iteration, one.images, one.by_image, one.which) == (8, 6, True, "last")
            if one.evaluation == result.evaluation:
                assert one.miou == pytest.approx(result.networks[one.network].last.miou, abs=1e-12)

    with monkeypatch.context() as within:
        within.setattr(evaluate, "count", None)  # nothing is scored again
        again, _ = say("eval", *grid, SLIDING, "--network", "all")
        assert again.count("recorded before") == 6

    shown = ["--networks", "--score", "last", "--bootstrap", "--baseline", "supervised"]
    table, _ = say("table", *grid, "--protocol", "own,sliding_window", *shown)
    assert "Not known by image" not in table
    section = table.partition("Over images")[2]
    assert [line.split()[0] for line in section.splitlines() if "1/5 (8)" in line] == ["supervised"] * 2 + ["gta"] * 4
    row = next(line for line in table.splitlines() if line.startswith("gta (student)"))
    students = {one.evaluation: one.miou for one in found["gta"] if one.network == "student"}
    assert f"{students['original size']:.2f} (1)" in row
    assert f"{students[WINDOW]:.2f} (1)" in row
    assert "1/5 (8) own last  1/5 (8) sliding_window last" in table
    assert f"Evaluation: own: original size; sliding_window: {WINDOW}." in " ".join(table.split()), "as wide as it is"
    assert "Scored once more by code:" in table
    assert "missing" not in table


def test_mlflow_has_what_was_scored(grid: list[str], say: Say) -> None:
    say("eval", *grid, SLIDING)
    say("table", *grid, "--protocol", "sliding_window")
    cell = folders(grid)["supervised"]
    uri = f"sqlite:///{cell.path.parents[1]}/mlflow.db"
    client = store.connect(uri)
    (run,) = client.search_runs(["1"], f"tags.`gta.signature` = '{cell.signature}'")
    sliding = next(one for one in evaluations.all_of(cell) if one.evaluation == WINDOW)
    assert run.data.metrics[f"evaluated/{sliding.name}"] == sliding.miou
    assert json.loads(run.data.tags[f"gta.evaluated.{sliding.name}"])["evaluation"] == WINDOW
    sent = {item.path for item in client.list_artifacts(run.info.run_id, "evaluations")}
    assert {f"evaluations/{sliding.name}.{kind}" for kind in ("json", "npz")} <= sent


def test_one_cell_shows_its_classes_a_column_a_protocol(grid: list[str], say: Say) -> None:
    cell = folders(grid)["supervised"]
    shown, said = say("eval", str(cell.path), SLIDING, "evaluation.flip=false,true")
    assert shown.splitlines()[0].split() == ["class", *(word for n in (1, 2, 3, 4) for word in ("IoU", str(n)))]
    assert [line.split(":")[0] for line in shown.splitlines() if "mIoU" in line] == [f"IoU {n}" for n in (1, 2, 3, 4)]
    assert f"{WINDOW}, flip)" in shown
    shown, said = say("eval", str(cell.path), "schedule.eval_images=2")
    assert "not recorded, a part of the images was scored" in said


def test_a_batch_makes_another_evaluation_of_the_same_numbers(grid: list[str], say: Say) -> None:
    cell = folders(grid)["supervised"]
    shown, _ = say("eval", str(cell.path), "evaluation.batch=1,4")
    one, four = (line.partition(": ")[2] for line in shown.splitlines() if "mIoU" in line)
    assert one.endswith("original size)")
    assert four == one.removesuffix(")") + " (batches of 4))", "the mIoU too"
    (kept,) = [one for one in evaluations.all_of(cell) if one.evaluation == "original size (batches of 4)"]
    assert kept.settings["evaluation.batch"] == "4"
    table, _ = say("table", *grid, "--protocol", "original_size+batch=4")
    assert "Evaluation: original_size+batch=4: original size (batches of 4)." in " ".join(table.split())


def test_weights_that_are_gone_are_a_sentence_and_cost_no_other_cell(grid: list[str], say: Say) -> None:
    cell = folders(grid)["gta"]
    kept = cell.checkpoint_file.rename(cell.path / "kept")
    try:
        crop = ["evaluation.protocol=center_crop", "evaluation.crop=32"]
        shown, said = say("eval", *grid, *crop, code=1)
        assert len(shown.splitlines()) == 1, "the other cell"
        assert (
            "its last weights are gone (`gta gc` removes those of cells that are done); its best ones are there" in said
        )
        _, said = say("eval", str(cell.path), *crop, code=2)
        assert said.startswith("error: its last weights are gone")
        shown, _ = say("eval", str(cell.path), *crop, "--which", "best")
        best = next(one for one in evaluations.all_of(cell) if one.which == "best")
        assert f"{best.miou:.2f}" in shown
    finally:
        kept.rename(cell.checkpoint_file)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB"),
            "out of memory; lower evaluation.batch",
        ),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "), "lower evaluation.batch"),
        (
            torch.AcceleratorError("CUDA error: unspecified launch failure\nmore"),
            ": AcceleratorError: CUDA error: unsp",
        ),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), ": RuntimeError: cuDNN error: CUDNN_STATUS_EX"),
    ],
)
def test_scoring_that_fails_costs_no_other_cell(
    grid: list[str], say: Say, monkeypatch: pytest.MonkeyPatch, error: RuntimeError, sentence: str
) -> None:
    crop = ["evaluation.protocol=center_crop", "evaluation.crop=16"]
    fail_on_gta(monkeypatch, error)
    shown, said = say("eval", *grid, *crop, "--again", code=1)
    assert len(shown.splitlines()) == 1, "the other cell"
    (line,) = said.splitlines()
    assert sentence in line
    _, said = say("eval", str(folders(grid)["gta"].path), *crop, "--again", code=2)
    assert sentence in said.strip()
    assert "Traceback" not in said


def fail_on_gta(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    real = evaluate.count

    def count(networks, *rest, **asked):
        if "teacher" in networks:
            raise error
        return real(networks, *rest, **asked)

    monkeypatch.setattr(evaluate, "count", count)


def test_an_error_of_the_program_has_its_trace(grid: list[str], say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    crop = ["evaluation.protocol=center_crop", "evaluation.crop=16"]
    fail_on_gta(monkeypatch, error := RuntimeError("size of a (3) must match b (4)"))
    shown, said = say("eval", *grid, *crop, "--again", code=1)
    assert len(shown.splitlines()) == 1, "the other cell"
    assert "Traceback" in said
    assert said.splitlines()[-1].endswith(
        "RuntimeError: size of a (3) must match b (4), an error of the program: its stack trace is above."
    )
    with pytest.raises(RuntimeError, match=re.escape(str(error))):
        main(["eval", str(folders(grid)["gta"].path), *crop, "--again"])


def test_a_damaged_record_is_made_anew(grid: list[str], say: Say) -> None:
    cell = folders(grid)["supervised"]
    say("eval", str(cell.path))
    first = next(one for one in evaluations.all_of(cell) if one.evaluation == "original size")
    cell.evaluation_file(first.name).write_text("{")
    say("eval", str(cell.path))
    made = Evaluation.read(cell.evaluation_file(first.name))
    assert made is not None
    assert made.miou == first.miou


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["eval"], "eval takes cells or a grid"),
        (["eval", "evaluation.flip=true"], "eval takes cells or a grid"),
        (["eval", "GRID", "evaluation.protocol=original_size,centre"], "must be original_size"),
        (["eval", "GRID", "--network", "assistant"], "--network assistant: this cell has"),
        (["table", "GRID", "--protocol", "sliding"], "evaluation.protocol"),
        (["table", "GRID", "--protocol", "sliding_window+flip"], "flip has no value"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_is_a_sentence(grid: list[str], say: Say, words: list[str], said: str) -> None:
    given = [one for word in words for one in (grid if word == "GRID" else [word])]
    code = 1 if "--network" in words else 2
    assert said in say(*given, code=code)[1]


def test_several_protocols_share_images_and_passes(grid: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """One pass for what several protocols see alike, and the numbers of each by itself."""
    from gta.cli.trained import changed, val_ids
    from gta.compose.compose import read_config
    from gta.train.run import load_network

    cell = folders(grid)["supervised"]
    frozen = read_config(cell.config_file)
    by = [
        ["evaluation.protocol=original_size"],
        ["evaluation.protocol=sliding_window", "evaluation.window=32"],
        ["evaluation.protocol=sliding_window", "evaluation.window=32", "evaluation.window_mean=probabilities"],
        ["evaluation.scales=[0.5,1.0]", "evaluation.flip=true"],
        ["evaluation.protocol=center_crop", "evaluation.crop=64"],
        ["evaluation.protocol=center_crop_padded_background", "evaluation.crop=64"],
    ]
    configs = [changed(frozen, words) for words in by]
    _, network, _ = load_network(frozen, cell, torch.device("cpu"))
    ids, cpu = val_ids(frozen)[:2], torch.device("cpu")
    passes = []
    network.register_forward_hook(lambda *_: passes.append(1))
    together = evaluate.count({"it": network}, configs, ids, cpu, by_image=True)
    assert len(passes) == 2 * (1 + 4 + 0 + 3 + 1 + 0), "original; windows; the three other looks; the crop"
    for config, found in zip(configs, together, strict=True):
        alone = evaluate.confusion_matrices({"it": network}, config, ids, cpu)["it"]
        counts = found["it"]
        assert torch.equal(counts.total, alone)
        assert counts.intersection is not None
        assert counts.union is not None
        assert torch.equal(counts.intersection.sum(0), alone.diagonal())
        assert torch.equal(counts.union.sum(0), alone.sum(0) + alone.sum(1) - alone.diagonal())
        one = evaluate.confusion_matrices({"it": network}, config, ids[1:], cpu)["it"]
        assert np.array_equal(counts.intersection[1], one.diagonal()), "of each image its own"


def test_pictures_of_another_folder_are_scored_and_neither_read_nor_recorded(
    grid: list[str], say: Say, generated: Path, tmp_path: Path
) -> None:
    cell = folders(grid)["supervised"]
    say("eval", *grid)
    before = {path.name: path.read_bytes() for path in cell.evaluations_folder.iterdir()}
    shutil.copytree(next(generated.glob("*")), tmp_path / "fog")
    runs = next(word for word in grid if word.startswith("paths.runs="))
    out, err = say("eval", cell.signature, runs, f"data.root={tmp_path / 'fog'}")
    assert "another folder (data.root)" in out + err
    assert {path.name: path.read_bytes() for path in cell.evaluations_folder.iterdir()} == before


def test_counts_that_cannot_be_read_are_made_again(grid: list[str], say: Say) -> None:
    cell = folders(grid)["supervised"]
    say("eval", *grid)
    (own,) = [one for one in evaluations.all_of(cell) if (one.evaluation, one.which) == ("original size", "last")]
    cell.by_image_file(own.name).write_bytes(b"x")
    say("eval", *grid)
    assert evaluations.read_by_image(cell, own) is not None


def recorded(cell: CellFolder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in cell.evaluations_folder.iterdir()}


def own_score(cell: CellFolder) -> str:
    """As eval prints the cell's own protocol."""
    result = cell.result()
    assert result is not None
    return f"mIoU {result.miou:.2f} % ({result.headline}, iteration 8, {cell.signature[:8]}, original size)"


@pytest.fixture
def of_one(grid: list[str], say: Say, tmp_path: Path) -> CellFolder:
    """A copy of a cell that is done and scored, to be hurt; by its folder."""
    cell = folders(grid)["supervised"]
    if evaluations.find(cell, "original_size", "original size", "student", "last") is None:
        say("eval", str(cell.path))
    shutil.copytree(cell.path, tmp_path / cell.signature)
    return CellFolder(tmp_path / cell.signature)


def changed_json(path: Path, *names: str, to: object) -> None:
    """Change one value, named by its keys, in a JSON file."""
    whole = json.loads(path.read_text())
    inner = whole
    for name in names[:-1]:
        inner = inner[name]
    inner[names[-1]] = to
    path.write_text(json.dumps(whole))


def test_one_cell_says_what_was_recorded_before(of_one: CellFolder, say: Say) -> None:
    shown, _ = say("eval", str(of_one.path))
    assert f"{own_score(of_one)}, recorded before" in shown
    shown, _ = say("eval", str(of_one.path), "--again")
    assert own_score(of_one) in shown
    assert "recorded before" not in shown


@pytest.mark.parametrize(
    ("record", "names", "to", "said"),
    [
        (
            "identity_file",
            ("params", "maths.model"),
            "0",
            "this code computes otherwise than the cell's (model: version 0",
        ),
        ("identity_file", ("params", "seed"), "7", "its config.yaml was edited after it was frozen: seed=0 (was 7)"),
        ("identity_file", ("digests", "val"), "0" * 64, "the val list is another than when the cell was frozen"),
        (
            "result_file",
            ("networks", "student", "last", "iteration"),
            7,
            "are of iteration 8, and the score of its res",
        ),
    ],
    ids=["maths", "config", "list", "weights"],
)
def test_what_is_not_the_cells_is_scored_shown_and_not_recorded(
    of_one: CellFolder, say: Say, record: str, names: tuple[str, ...], to: object, said: str
) -> None:
    changed_json(getattr(of_one, record), *names, to=to)
    before = recorded(of_one)
    again = ["--again"] if "params" in names else []
    shown, error = say("eval", str(of_one.path), *again, code=1)
    assert own_score(of_one).partition(" (")[0] in shown
    assert "recorded before" not in shown
    assert f"{of_one.path}: not recorded, " in error
    assert said in error
    assert recorded(of_one) == before


def test_what_is_recorded_is_shown_where_the_val_list_is_not_at_hand(
    of_one: CellFolder, say: Say, generated: Path, tmp_path: Path
) -> None:
    text = of_one.config_file.read_text()
    of_one.config_file.write_text(text.replace(str(generated), str(tmp_path / "elsewhere")))
    shown, _ = say("eval", str(of_one.path))
    assert f"{own_score(of_one)}, recorded before" in shown
    assert not (tmp_path / "elsewhere").exists(), "nothing is generated to read what is recorded"


def test_counts_of_other_images_are_made_again(of_one: CellFolder, say: Say) -> None:
    (own,) = [one for one in evaluations.all_of(of_one) if (one.evaluation, one.which) == ("original size", "last")]
    counted = evaluations.read_by_image(of_one, own)
    assert counted is not None
    evaluations.write(of_one, own, evaluations.ByImage(counted.ids[::-1], counted.intersection, counted.union))
    say("eval", str(of_one.path))
    made = evaluations.read_by_image(of_one, own)
    assert made is not None
    assert made.ids == counted.ids


def test_a_cell_that_is_trained_anew_meanwhile_is_not_given_the_old_ones_score(
    of_one: CellFolder, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, count = recorded(of_one), evaluate.count

    def slowly(*given: object, **named: object) -> object:
        found = count(*given, **named)  # type: ignore[arg-type]
        changed_json(of_one.result_file, "finished", to=1.0)
        return found

    monkeypatch.setattr(evaluate, "count", slowly)
    _, error = say("eval", str(of_one.path), "--again", code=1)
    assert "not recorded, the cell was trained anew meanwhile" in error
    assert recorded(of_one) == before


def test_a_score_that_cannot_be_written_is_exit_code_1(of_one: CellFolder, say: Say) -> None:
    shutil.rmtree(of_one.evaluations_folder)
    of_one.evaluations_folder.write_text("a file, where a folder should be")
    shown, error = say("eval", str(of_one.path), code=1)
    assert own_score(of_one) in shown
    assert "evaluations cannot be written (" in error


def test_a_damaged_config_and_a_cell_that_alone_cannot_be_scored_so_cost_no_other_cell(
    grid: list[str], say: Say
) -> None:
    first = CellFolder(min(cell.path for cell in folders(grid).values()))
    text = first.config_file.read_text()
    runs = next(word for word in grid if word.startswith("paths.runs="))
    names = [cell.signature for cell in folders(grid).values()]
    crop = ["evaluation.protocol=center_crop", "evaluation.crop=48"]
    try:
        for broken, said in (
            ("{", "config.yaml"),
            (text.replace("input_scale: 1.0", "input_scale: 0.5"), "cuts at or"),
        ):
            assert broken != text
            first.config_file.write_text(broken)
            shown, error = say("eval", *sorted(names), runs, *crop, code=1)
            assert shown.count("mIoU") + shown.count("center crop 48") == 1, "the other cell"
            assert said in error
            assert len(error.splitlines()) == 1
    finally:
        first.config_file.write_text(text)


def test_the_commit_of_a_score_is_that_of_the_code_it_began_with(
    of_one: CellFolder, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    count, began = evaluate.count, code.read_code()

    def slowly(*given: object, **named: object) -> object:
        monkeypatch.setattr(code, "read_code", lambda: replace(began, commit="e" * 40))
        return count(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(evaluate, "count", slowly)
    code.running.cache_clear()
    say("eval", str(of_one.path), "--again")
    (own,) = [one for one in evaluations.all_of(of_one) if (one.evaluation, one.which) == ("original size", "last")]
    assert str(own.commit).partition("+")[0] == (began.commit or f"tree:{began.tree[:8]}")
