"""Cells that differ in plain values are made of one that was composed: what Hydra composes for them, errors too."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from gta.compose import compose, plainvalues
from gta.compose.hydra import ConfigLoaderImpl
from gta.errors import UserError


@pytest.mark.parametrize(
    "grid",
    [
        ["schedule.lr=0.1", "schedule.lr=1e-3", "schedule.lr=2", "++schedule.lr=3", "schedule.lr='4'"],
        ["data.split='1_8'", "data.split=662", "data.split=1/25", "data.split='${seed}'", "data.split=null"],
        ["schedule.iterations=10 seed=1", "seed=2 schedule.iterations='10_000'", "seed=2", "seed=2 seed=3"],
        ["data.generator.train=40 model.width=4", "data.generator.train=50 model.width=8", "data.generator=null"],
        ["site.account='no'", "site.account=no", "site.account=1", "method.label=a", "method.label=${seed}"],
        ["seed=1 data.root='${data.name}'", "seed=2 data.root='${data.name}'"],
        ["data.name=a", "data.name=b", "method.drop_percent=70 data=camvid", "method.drop_percent=80 data=camvid"],
        ["data.classes=[a,b]", "data.classes=[a]", "method.drop_percent=70", "method.drop_percent=71.5"],
        ["paths.runs=a", "paths.runs=b", "paths.weights=c model=resnet50", "paths.weights=d model=resnet50"],
        ["sweep_name=x seed=1", "sweep_name=y seed=1", "data.augment.flip=false", "data.augment.flip=true"],
    ],
)
@pytest.mark.slow
def test_cells_that_differ_in_values_are_what_is_composed_for_them(loader: ConfigLoaderImpl, grid: list[str]) -> None:
    composer, again = compose.Composer(loader), compose.Composer(loader)
    for words in (["method=gta", "data=shapes", "model=tiny", *cell.split()] for cell in grid):
        found = []
        for made in (composer.cell, lambda words: compose.checked(again.compose(words))):
            try:
                found.append(made(words))
            except (HydraException, UserError, OmegaConfBaseException) as error:
                found.append(str(error))
        assert found[0] == found[1], words


def test_cells_of_other_seeds_share_their_sections(loader: ConfigLoaderImpl) -> None:
    """What is asked of a section is asked once, and not for every seed."""
    composer = compose.Composer(loader)
    words = [f"method=gta data.split={split} seed={seed}".split() for split in ("1/25", "1/50") for seed in (0, 1, 2)]
    first, *others = [composer.cell(one) for one in words]
    assert [one.data.split for one in others] == ["1/25", "1/25", "1/50", "1/50", "1/50"]
    assert all(one.data is first.data for one in others[:2])
    assert all(one.data is others[2].data for one in others[3:])
    assert [one.seed for one in others] == [1, 2, 0, 1, 2]
    assert all(one.model is first.model for one in others)


@pytest.mark.parametrize("wrong", ["schedule.lr=much", "schedule.lr=-1", "schedule.lr=[1]", "schedule.lr.x=1"])
def test_a_wrong_value_is_refused_after_a_right_one(loader: ConfigLoaderImpl, wrong: str) -> None:
    kept, said = compose.Composer(loader), []
    kept.cell(["method=gta", "schedule.lr=0.1"])
    for composer in (kept, compose.Composer(loader)):
        with pytest.raises((HydraException, UserError)) as refused:
            composer.cell(["method=gta", wrong])
        said.append(str(refused.value))
    assert said[0] == said[1]


@pytest.mark.parametrize(
    ("override", "names", "may"),
    [
        ("data.root=a", ["schedule.lr"], False),
        ("data.root='${paths.data}/x'", ["paths.weights"], False),
        ("data.root='${schedule.lr}'", ["schedule.lr"], True),
        ("data.root='${schedule.lr}'", ["schedule"], True),
        ("data.augment='${method}'", ["method.drop_percent"], True),
        ("data.root='${.name}'", ["data.name"], True),
        ("data.root='${..seed}'", ["seed"], True),
        ("data.root='${.name}'", ["schedule.lr"], False),
        ("data.root='${data[name]}'", ["data.name"], True),
        ("data.root='${data.${method.name}}'", ["schedule.lr"], True),
        ("data.root='${oc.env:HOME}'", ["schedule.lr"], True),
    ],
)
def test_what_follows_from_a_setting_is_seen(
    loader: ConfigLoaderImpl, override: str, names: list[str], may: bool
) -> None:
    composed = compose.Composer(loader).compose(["model=tiny", override])
    assert plainvalues.depends(composed, names) == may


def test_a_folder_that_all_cells_share_makes_none_compose_anew(
    loader: ConfigLoaderImpl, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others follow from paths.runs, but the same ones."""
    composer = compose.Composer(loader)
    composer.cell(["method=gta", "paths.runs=r", "schedule.lr=0.1", "seed=0"])
    monkeypatch.setattr(composer, "compose", None)
    made = composer.cell(["method=gta", "paths.runs=r", "schedule.lr=1", "seed=3"])
    assert (made.paths.tracking_uri, made.schedule.lr, made.seed) == ("sqlite:///r/mlflow.db", 1.0, 3)


DERIVES = """
from dataclasses import dataclass

from gta.config import MethodConfig
from gta.fields import result
from gta.methods.base import Method


@dataclass(frozen=True, kw_only=True)
class DeriveConfig(MethodConfig):
    name: str = result("derive", "Its name.")
    low: float = result(0.5, "Given.", within=(0, 1))
    high: float = result(0.0, "Half way from low to 1, where it is not given.", within=(0, 1))

    def __post_init__(self) -> None:
        if not self.high:
            object.__setattr__(self, "high", (1 + self.low) / 2)


class Derive(Method):
    Config = DeriveConfig
"""


def test_what_a_method_derives_from_its_settings_is_derived_for_each(
    loader: ConfigLoaderImpl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "methods").mkdir()
    (tmp_path / "methods/derive.py").write_text(DERIVES)
    monkeypatch.chdir(tmp_path)
    composer = compose.Composer(loader)
    cells = [composer.cell(["method=derive", f"method.low={low}", "seed=0"]) for low in (0.5, 0.6, 0.8)]
    assert [cell.method.high for cell in cells] == [0.75, 0.8, 0.9]  # type: ignore[attr-defined]
