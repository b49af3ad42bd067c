"""Every snippet in the README runs: commands, the YAML of a data set, the Python of a method."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from gta.cli.main import main
from gta.config import ModelConfig, ScheduleConfig, ShapesConfig
from gta.data.shapes import generate
from gta.models import build_model
from gta.ops.batch import Labeled, Unlabeled
from tests.helpers.program import ROOT, SMALL_SCHEDULE, SMALL_SHAPES

TEXT = (ROOT / "README.md").read_text()


def snippets(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, flags=re.DOTALL)


LINES = [line.split("#")[0].strip() for block in snippets("bash") for line in block.splitlines() if line.strip()]
INLINE = re.findall(r"`((?:make|python -m gta) [^`]*)`", TEXT)


@pytest.mark.parametrize("line", [line for line in [*LINES, *INLINE] if line.startswith("make")])
def test_make_lines_name_real_targets(line: str) -> None:
    words = [word for word in shlex.split(line) if word != "DATA=..."]
    answer = subprocess.run([words[0], "-n", *words[1:]], cwd=ROOT, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    if words[1] == "sweep":
        assert "-m gta multirun sweep=" in answer.stdout


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("python -m gta")])
def test_command_lines_run(
    line: str, generated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = shlex.split(line)[3:]
    small = [*SMALL_SHAPES, f"paths.data={generated}"]
    if "splits" not in words:
        small += [word for word in SMALL_SCHEDULE if word.split("=")[0] not in line]
    if "multirun" in words:  # the README's own length, in seconds instead of a minute
        words = [word for word in words if not word.startswith("schedule.")]
        small = [*SMALL_SHAPES, *SMALL_SCHEDULE, f"paths.data={generated}"]
    if "shapes" in line and "splits" not in words and "train" not in words:
        small.append("data.split=1/5")
    assert main([*words, *small]) == 0, capsys.readouterr()


def test_every_command_of_the_table_exists() -> None:
    from gta.cli.main import COMMANDS

    rows = re.findall(r"^\| (`.*?`.*?) \|", TEXT, flags=re.MULTILINE)
    named = {word.split()[0] for row in rows for word in re.findall(r"`([^`]+)`", row)}
    assert named == set(COMMANDS)


def test_the_data_set_snippet_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (text,) = snippets("yaml")
    (tmp_path / "conf/data").mkdir(parents=True)
    (tmp_path / "conf/data/mydata.yaml").write_text(text)
    generate(ShapesConfig(train=24, val=2), tmp_path / "data/mydata")
    five = "data.classes=[background,road,car,tree,sky]"  # the generated masks have five classes
    words = ["train", "data=mydata", five, "data.crop_size=33", *SMALL_SCHEDULE, "method=supervised"]
    assert main(words) == 0
    assert (tmp_path / "splits/mydata/seed0/1_8/labeled.txt").exists()


def test_the_method_snippet_takes_a_step() -> None:
    (text,) = snippets("python")
    source = text.replace("from dataclasses", "from __future__ import annotations\n\nfrom dataclasses", 1)
    module = type(sys)("readme_method")
    sys.modules["readme_method"] = module  # dataclasses look their module up
    exec(compile(source, "README.md", "exec"), module.__dict__)
    model = ModelConfig(encoder="tiny", width=4, decoder_channels=8, output_stride=8, weights="random")
    schedule = ScheduleConfig(iterations=4, warm_up=1, batch_size=2, group_size=2, lr=0.1)
    method = module.PseudoLabel(
        module.PseudoLabelConfig(threshold=0.0), lambda: build_model(model, 3), schedule, 0, torch.device("cpu")
    )
    labeled = Labeled(torch.randn(2, 3, 33, 33), torch.randint(0, 3, (2, 33, 33)), 0)
    unlabeled = Unlabeled(torch.randn(2, 3, 33, 33), None, torch.zeros(2, 33, 33, dtype=torch.bool), 0)
    for iteration in range(3):
        losses = method.step(labeled, unlabeled, iteration)
    assert set(losses) == {"loss/supervised", "loss/unsupervised"}
    assert all(torch.isfinite(value) for value in losses.values())
    assert set(method.networks()) == {"student", "teacher"}


def test_the_layout_names_real_files() -> None:
    (tree,) = [block for block in snippets("text") if "gta/" in block]
    folder = ROOT
    for line in tree.splitlines():
        names = re.match(r"^ *([^ ].*?)(?:  |$)", line)
        assert names, line
        if not line.startswith(" "):
            folder = ROOT / names[1].split()[0]
            assert folder.is_dir(), line
            continue
        for name in names[1].split():
            assert (folder / name).exists(), f"{folder.name}/{name}"
