"""Cells put together of sections of others are what Hydra composes for them; its files are read and merged once."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gta.cli import composing
from gta.compose import compose
from gta.compose.hydra import ConfigLoaderImpl, loader_of
from gta.config import Config
from gta.errors import UserError

CHOICES = {
    "method": ["gta", "supervised", "gta_drop_40", "gta_lean", "cps_levelled", "u2pl"],
    "model": ["tiny", "resnet18", "dinov2_small"],
    "schedule": ["shapes", "voc", "voc_augseg", "cityscapes"],
    "data": ["shapes", "camvid", "voc_blender"],
    "augment": ["gta", "unimatch_v2", "u2pl"],
}


@pytest.fixture(scope="module")
def plain(loader: ConfigLoaderImpl) -> ConfigLoaderImpl:
    """Hydra's own loader over the same files."""
    return ConfigLoaderImpl(loader.config_search_path)


def both(ours: compose.Composer, hydras: ConfigLoaderImpl, words: Sequence[str]) -> list[Config | str]:
    """The cell as it is composed here, and as Hydra composes it; or what is said of it."""
    found: list[Config | str] = []
    for made in (ours.cell, lambda words: compose.checked(compose.Composer(hydras).compose(words))):
        try:
            found.append(made(list(words)))
        except (HydraException, UserError, OmegaConfBaseException) as error:
            found.append(str(error))
    return found


def composed_by(composer: compose.Composer, monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """The words of the cells that Hydra is asked for, from now on."""
    asked: list[Sequence[str]] = []
    before = composer.compose
    monkeypatch.setattr(composer, "compose", lambda words: asked.append(words) or before(words))
    return asked


@pytest.mark.parametrize("seed", [0])  # any number draws another grid
@pytest.mark.slow
def test_random_cells_are_what_hydra_composes(
    loader: ConfigLoaderImpl, plain: ConfigLoaderImpl, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = random.Random(seed)
    varied = draw.sample(sorted(CHOICES), 3)
    grid = [
        [f"{group}={name}" for group, name in zip(varied, names, strict=True)]
        for names in itertools.product(*(CHOICES[group] for group in varied))
    ]
    draw.shuffle(grid)
    fixed = draw.choice([[], ["sweep=camvid"], ["data.classes=[a,b]"], ["+site.sbatch.x=1"], ["paths.runs=r"]])
    ours = compose.Composer(loader)
    asked = composed_by(ours, monkeypatch)
    for words in grid:
        ours.cell([*words, *fixed, f"seed={draw.randrange(3)}", f"schedule.lr={draw.choice(['0.1', '1'])}"])
    assert len(asked) < len(grid) / 2
    for words in draw.sample(grid, 6):
        cell = [*words, *fixed, f"seed={draw.randrange(3)}", f"schedule.lr={draw.choice(['0.1', '2', 'x'])}"]
        made, wanted = both(ours, plain, cell)
        assert made == wanted, cell


OWN = {
    "other_section": "# @package _global_\nschedule: {lr: 0.3}\nmodel: {dropout: 0.25}\n",
    "refers": "lr: 0.3\nlog_every: ${model.decoder_channels}\n",
    "refers_twice": "lr: 0.3\nweight_decay: ${evaluation.scales[0]}\n",
    "of_another": "defaults: [shapes]\nlr: 0.4\n",
    "chooses": "# @package _global_\ndefaults:\n  - override /model: resnet18\nschedule: {lr: 0.3}\n",
    "asks": "lr: ${oc.decode:'0.5'}\n",
}


@pytest.mark.slow
def test_files_that_do_more_than_set_their_section(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    (tmp_path / "conf/schedule").mkdir(parents=True)
    (tmp_path / "sweeps").mkdir()
    (tmp_path / "sweeps/chosen.yaml").write_text("defaults:\n  - override /schedule: ${method}\n")
    (tmp_path / "conf/schedule/gta.yaml").write_text("lr: 0.7\n")
    (tmp_path / "conf/schedule/supervised.yaml").write_text("lr: 0.8\n")
    for name, text in OWN.items():
        (tmp_path / f"conf/schedule/{name}.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    loader = loader_of(composing.start())
    ours, hydras = compose.Composer(loader), ConfigLoaderImpl(loader.config_search_path)
    needed = {"iterations": 10, "batch_size": 2, "group_size": 2, "eval_every": 5}
    given = [*(f"schedule.{name}={value}" for name, value in needed.items()), "seed=1"]
    for method, model, name in itertools.product(["gta", "supervised"], [["model=tiny"], ["model=resnet18"], []], OWN):
        words = [f"method={method}", *model, f"schedule={name}", *given]
        if method == "gta" or model == ["model=tiny"]:
            ours.cell(words)  # what the last ones may be made of
            continue
        made, wanted = both(ours, hydras, words)
        assert made == wanted, words
    for method, model in itertools.product(["gta", "supervised"], ["tiny", "resnet18"]):
        found = ours.cell([f"method={method}", f"model={model}", "sweep=chosen", *given])
        assert found.schedule.lr == {"gta": 0.7, "supervised": 0.8}[method]


OF_CHOICES = {
    "conf/schedule/gta": "lr: 0.7\n",
    "conf/schedule/supervised": "lr: 0.8\n",
    "conf/base/gta": "width: 11\n",
    "conf/base/supervised": "width: 12\n",
    "conf/schedule/alias": "# @package _global_\nevaluation: {scales: '${data.mean}'}\nschedule: {lr: 0.9}\n",
    "conf/model/of_schedule": "defaults: [tiny, {/base@_here_: '${schedule}'}]\n",
}
LENGTH = ["schedule.iterations=10", "schedule.batch_size=2", "schedule.group_size=2", "schedule.eval_every=5"]


@pytest.mark.parametrize(
    ("model", "schedules", "word", "expected"),
    [
        pytest.param("of_schedule", ("gta", "supervised"), "seed=1", {(11, 0.7), (12, 0.8)}, id="a file read late"),
        pytest.param("resnet18", ("${method}",), "seed=1", {(0, 0.7), (0, 0.8)}, id="a word"),
        pytest.param("resnet18", ("alias", "gta"), "evaluation.scales.0=0.6", {(0, 0.9), (0, 0.7)}, id="an alias"),
    ],
)
def test_files_that_follow_from_what_else_is_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, schedules: tuple[str, ...], word: str, expected: object
) -> None:
    for name, text in OF_CHOICES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"{name}.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    loader = loader_of(composing.start())
    ours, hydras = compose.Composer(loader), ConfigLoaderImpl(loader.config_search_path)
    grid = [
        [f"model={one}", f"schedule={schedule}", f"method={method}", *LENGTH, word]
        for one, schedule, method in itertools.product(("tiny", model), schedules, ("gta", "supervised"))
    ]
    found = [ours.cell(words) for words in grid]
    assert {(cell.model.width, cell.schedule.lr) for cell in found[len(found) // 2 :]} == expected
    assert found[-1] == compose.checked(compose.Composer(hydras).compose(grid[-1]))


@pytest.mark.parametrize("mode", RunMode)
def test_the_whole_config_is_what_hydra_composes(
    loader: ConfigLoaderImpl, plain: ConfigLoaderImpl, mode: RunMode
) -> None:
    for words in (["sweep=shapes", "seed=1"], ["hydra/launcher=slurm", "method=gta_lean", "hydra.job.name=x"]):
        for _ in range(2):  # the second time of files that were read
            found, wanted = (one.load_configuration("config", words, mode) for one in (loader, plain))
            assert OmegaConf.to_container(found, resolve=False) == OmegaConf.to_container(wanted, resolve=False)
            assert OmegaConf.to_yaml(found) == OmegaConf.to_yaml(wanted)
            found.hydra.job.name = "another"  # what is done to one config is not seen in the next
            if found.hydra.sweeper.params:
                found.hydra.sweeper.params.seed = "7"
