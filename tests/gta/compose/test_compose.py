"""Composition: the fast way is Hydra's own, wrong overrides are explained, volatile values are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import OmegaConf

from gta.compose import compose, overrides
from gta.compose.hydra import ConfigLoaderImpl
from gta.compose.paths import absolute
from gta.compose.yamlfile import load_yaml
from gta.config import Config, DataConfig, ModelConfig, PathsConfig
from gta.errors import UserError
from gta.methods import METHODS
from tests.helpers.program import Run

CONF = compose.CONF


@pytest.mark.parametrize(
    "words",
    [
        ["method=gta", "seed=1"],
        ["method=supervised", "data.split=1/25", "schedule.lr=0.2"],
        ["sweep=camvid", "model.width=4", "method=mean_teacher"],
        ["method=gta", "site=slurm", "++site.sbatch.constraint=a100"],
    ],
)
def test_composing_from_a_kept_base_is_what_hydra_composes(loader: ConfigLoaderImpl, words: list[str]) -> None:
    composer = compose.Composer(loader)
    for again in range(2):  # the second time from the base that was kept
        fast = composer.compose([*words, f"seed={again}"])
        slow = loader.load_configuration("config", [*words, f"seed={again}"], RunMode.RUN)
        OmegaConf.set_struct(slow, False)
        del slow["hydra"]
        assert OmegaConf.to_container(fast, resolve=False) == OmegaConf.to_container(slow, resolve=False)


@pytest.mark.parametrize(
    "override", ["method=gta", "data.generator.seed=${seed}", "sweep_name=s${seed}", "model.weights=w${oc.env:HOME}"]
)
@pytest.mark.slow
def test_a_cell_for_another_seed_is_what_is_composed_for_it(loader: ConfigLoaderImpl, override: str) -> None:
    composer = compose.Composer(loader)
    for seeds in (["seed=0"], ["seed=12"], ["seed=3"], ["++seed=4"], ["seed=5", "seed=6"], []):
        words = [override, *seeds]
        assert composer.cell(words) == compose.typed(compose.Composer(loader).compose(words))


def test_a_wrong_seed_is_refused_after_a_right_one(loader: ConfigLoaderImpl) -> None:
    composer = compose.Composer(loader)
    composer.cell(["method=gta", "seed=1"])
    with pytest.raises(HydraException):
        composer.cell(["method=gta", "seed=one"])


@pytest.mark.parametrize("override", ["method=gta", "data.split='1_16'", "data.name='1e3'", "site.account='no'"])
def test_a_config_is_frozen_as_omegaconf_writes_it(loader: ConfigLoaderImpl, override: str) -> None:
    config = compose.Composer(loader).cell([override])
    assert compose.dump(config) == OmegaConf.to_yaml(OmegaConf.structured(config), resolve=True)


def groups() -> list[tuple[str, str]]:
    found = [
        (path.parent.relative_to(CONF).as_posix(), path.stem) for path in CONF.rglob("*.yaml") if path.parent != CONF
    ]
    return sorted(found + [("method", name) for name in METHODS] + [("sweep", name) for name in compose.sweep_files()])


@pytest.mark.parametrize(("group", "name"), groups())
@pytest.mark.slow
def test_every_shipped_yaml_composes(loader: ConfigLoaderImpl, group: str, name: str) -> None:
    config = compose.Composer(loader).cell([f"{group}={name}"])
    assert isinstance(config, Config)


def test_a_frozen_config_reads_back_the_same(loader: ConfigLoaderImpl, tmp_path: Path) -> None:
    config = compose.typed(compose.Composer(loader).compose(["method=gta", "method.drop_percent=70"]))
    text = compose.dump(config)
    assert "${" not in text, "a frozen config is resolved"
    (tmp_path / "config.yaml").write_text(text)
    assert compose.read_config(tmp_path / "config.yaml") == config


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("sede=1", "did you mean seed"),
        ("lr=0.1", "did you mean schedule.lr"),
        ("schedule.iteration=3", "did you mean schedule.iterations"),
        ("method=gtaa", "did you mean gta"),
        ("sweep=shapess", "did you mean shapes"),
        ("hydra/launcher=slrm", "did you mean slurm?"),
        ("method=gta,supervisd", "did you mean supervised"),
        ("method.drop_percnt=3", "did you mean method.drop_percent"),
        ("seed=[", r"seed=\[: not an override; a bracket in it is not closed"),
        ("data.split=1/50,", "data.split=1/50,: not an override; a value is missing beside a comma"),
        ("data.name='a", "a quotation mark in it has no second one"),
        ("data.name='it' s", "settings look like seed=0,1 or"),
        ("seed=range(a)", r"range\(a\): not an override; settings look like seed=0,1"),
        ("=1", "=1: not an override; settings are name=value"),
        ("~method", "~method: there is no cell without a method"),
        ("sweep=shapes,camvid", "one sweep"),
    ],
)
def test_a_wrong_override_says_what_was_meant(loader: ConfigLoaderImpl, override: str, said: str) -> None:
    with pytest.raises(UserError, match="(?s)" + said.replace("?", r"\?")):
        overrides.check_overrides(loader, [override])


@pytest.mark.parametrize(
    ("override", "name"),
    [
        ("schedule.lr=${oc.env:LR,0.1}", "oc.env"),
        ("data.mask_suffix=${now:%H}", "now"),
        ("data.images=${site.partition}", "oc.env"),
        ("data.images=${..site.partition}", "oc.env"),
        ("schedule.lr='${ oc.env:LR,0.1}'", "oc.env"),
        ("data.images='${oc.select: site.partition}'", "oc.env"),
        ("data.images='${oc.${paths.data}:HOME}'", "oc.env"),
        ("data.images='a${oc.decode:\"${site.partition}\"}'", "oc.env"),
        ("data.classes=['${oc.env:USER}']", "oc.env"),
        ("data.augment='${oc.create:{flip: \"${oc.env:FLIP,true}\"}}'", "oc.env"),
        ("data.name=${hydra:job.name}", "hydra"),
    ],
)
def test_a_result_must_not_depend_on_time_or_environment(loader: ConfigLoaderImpl, override: str, name: str) -> None:
    neutral = ["site.partition=${oc.env:USER,me}", "paths.data=env"]
    config = compose.Composer(loader).compose([override, *neutral])
    with pytest.raises(UserError, match=f"can change a result.*{name}"):
        compose.typed(config)


def test_settings_that_refer_to_each_other_are_refused(loader: ConfigLoaderImpl) -> None:
    config = compose.Composer(loader).compose(["data.name=${data.images}", "data.images=${data.name}"])
    with pytest.raises(UserError, match="Recursive interpolation"):
        compose.typed(config)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "method:\n  name: !!python/object/apply:os.system [ls]\n",
            "line 2 is not YAML: could not determine",
        ),
        ("method: {name: gta}\nseed: !!python/name:os.system\n", "line 2 is not YAML: could not determine"),
        ("method: {name: nope}\n", "is of the method nope, which is neither the program's nor"),
        ("seed: &a [*a]\nmethod: {name: gta}\n", "nested too deep"),
        ("method:\n\tname: gta\n", "line 2 is not YAML: a tab"),
        ("\x00", "config.yaml, line 1 is not YAML"),
        ("- 1\n", "must hold settings"),
        ("", "cannot be read as the config of a cell"),
    ],
)
def test_a_cells_config_that_is_none_is_refused_in_a_sentence(text: str, said: str, tmp_path: Path, say: Run) -> None:
    folder = tmp_path / "0123456789abcdef"
    folder.mkdir()
    (folder / "config.yaml").write_text(text)
    answer = say("eval", str(folder))
    assert answer.returncode == 2
    assert said in answer.stderr
    assert answer.stderr.count("\n") == 1


def test_neutral_fields_may_depend_on_the_environment(
    loader: ConfigLoaderImpl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHERE", "/there")
    config = compose.typed(compose.Composer(loader).compose(["paths.data=${oc.env:WHERE}"]))
    assert config.data.root == "/there/shapes"


@pytest.mark.parametrize(
    ("written", "protected"),
    [
        ("data.split=1_8,1_16", "data.split='1_8','1_16'"),
        ("data.split=92", "data.split=92"),
        ("data.split=u2pl_1_16", "data.split=u2pl_1_16"),
        ("data.split='1_8'", "data.split='1_8'"),
        ("paths.data=/a/1_2/b", "paths.data=/a/1_2/b"),
        ("site.sbatch.constraint=a100", "++site.sbatch.constraint=a100"),
        ("site.rates={gta: 1.9}", "++site.rates={gta: 1.9}"),
        ("schedule.iterations=10_000", "schedule.iterations='10_000'"),
        ("data.root=~/größe", "data.root='~/größe'"),
        ("data.root='~/größe'", "data.root='~/größe'"),
        ("model.weights=w/epoch=09.pth", "model.weights='w/epoch=09.pth'"),
        ("data.split=é 1_2,1_8", "data.split='é 1_2','1_8'"),
        ("seed=range(0,3)", "seed=range(0,3)"),
        ("data.root=${paths.data}/x", "data.root=${paths.data}/x"),
    ],
)
def test_splits_that_look_like_numbers_stay_names(loader: ConfigLoaderImpl, written: str, protected: str) -> None:
    assert overrides.protect(written) == protected


def test_a_protected_number_is_still_a_number(loader: ConfigLoaderImpl) -> None:
    config = compose.typed(compose.Composer(loader).compose([overrides.protect("schedule.iterations=10_000")]))
    assert config.schedule.iterations == 10000


@pytest.mark.parametrize("path", ["/a/größe", "w/epoch=09.pth", "it's (1)/b", "x&y#z", "/a b/c", "/a/b.c-d"])
def test_a_path_of_any_letters_is_what_is_written(loader: ConfigLoaderImpl, path: str) -> None:
    written = [overrides.protect(f"{name}={path}") for name in ("data.root", "model.weights")]
    overrides.check_overrides(loader, written)
    config = compose.typed(compose.Composer(loader).compose(written))
    assert (config.data.root, config.model.weights) == (path, path)


def test_a_tilde_is_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    config = Config(data=DataConfig(root="~/m", split_dir="~/s"), model=ModelConfig(weights="~/w.pth"))
    made = absolute(replace(config, paths=PathsConfig(runs="~/runs", tracking_uri="sqlite:///~/m.db")))
    found = [made.data.root, made.data.split_dir, made.model.weights, made.paths.runs, made.paths.tracking_uri]
    assert found == [*(f"{tmp_path}/{name}" for name in ("m", "s", "w.pth", "runs")), f"sqlite:///{tmp_path}/m.db"]


def test_the_same_settings_are_other_places_in_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config(data=DataConfig(root="m"), model=ModelConfig(weights="w.pth"))
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        monkeypatch.chdir(folder)
        made = absolute(config)
        assert [made.data.root, made.model.weights, made.paths.runs] == [
            f"{folder}/{name}" for name in ("m", "w.pth", "runs")
        ]


def test_a_yaml_says_what_is_written_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """YAML reads 1_4 as 14, 010 as 8 and 1:30 as 90; a field that is a number takes 10_000 all the same."""
    monkeypatch.chdir(tmp_path)
    for name in ("conf/data", "sweeps"):
        (tmp_path / name).mkdir(parents=True)
    head = "defaults: [shapes, _self_]\nname: mine  # 1_8 is none\n"
    for split in ("1_4", "'1_4'", "010", "1:30", "662"):
        name = split.strip("'").replace(":", "_")
        (tmp_path / f"conf/data/s{name}.yaml").write_text(f"{head}split: {split}\ngenerator:\n  train: 1_000\n")
        made = compose.start().config_loader
        assert isinstance(made, ConfigLoaderImpl)
        data = compose.typed(compose.Composer(made).compose([f"data=s{name}"])).data
        assert (data.split, data.name, data.split_family) == (split.strip("'"), "mine", "seed0")
        assert data.generator is not None
        assert data.generator.train == 1000
    assert dict(load_yaml("a: &a 1_16\nb: *a\nc: &c {d: 010}\ne:\n  <<: *c\n")) == {
        "a": "1_16", "b": "1_16", "c": {"d": "010"}, "e": {"d": "010"},
    }  # fmt: skip
    (tmp_path / "sweeps/mine.yaml").write_text("hydra:\n  sweeper:\n    params:\n      data.split: 1_16\n")
    made = compose.start().config_loader
    assert isinstance(made, ConfigLoaderImpl)
    assert (
        made.load_configuration("config", ["sweep=mine"], RunMode.MULTIRUN).hydra.sweeper.params["data.split"] == "1_16"
    )
