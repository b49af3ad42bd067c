"""Files in ./sweeps and ./conf that cannot be used: who asks for one is told where and why, and who names another is
warned.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from gta.compose import compose
from gta.compose.hydra import Hydra, loader_of
from gta.errors import UserError
from launch.grid.grid import expand, master_config
from tests.helpers.program import SMALL_SCHEDULE, SMALL_SHAPES, Run

SWEEPS = {
    "tab": ("hydra:\n\tsweeper: 1\n", "sweeps/tab.yaml, line 2 is not YAML: a tab stands where spaces must."),
    "doubled": ("seed: 1\nseed: 2\n", "sweeps/doubled.yaml, line 2 is not YAML: found duplicate key seed"),
    "documents": ("seed: 1\n---\nseed: 2\n", "sweeps/documents.yaml, line 2 is not YAML: found another document"),
    "deep": ("a: " + "[" * 3000, "sweeps/deep.yaml is not YAML that can be read: it is nested too deep"),
    "control": ("seed: 1\nx: \x01\n", r"sweeps/control.yaml, line 2 is not YAML: it holds '\x01'"),
    "word": ("hello\n", "sweeps/word.yaml must hold settings"),
    "list": ("[1, 2]\n", "sweeps/list.yaml must hold settings"),
    "itself": ("seed: 1\ndefaults:\n  - itself\n", "sweeps/itself.yaml, line 3: sweeps/itself.yaml names itself"),
    "absolute": ("defaults: [/sweep: absolute]\n", "sweeps/absolute.yaml names itself"),
    "circle": ("defaults: [around]\n", "name each other in a circle"),
    "around": ("defaults: [circle]\n", "name each other in a circle"),
    "number": ("defaults: 3\n", "line 1: defaults is a list of - GROUP: NAME, and not 3"),
    "nested_list": ("defaults: [[a]]\n", "line 1: ['a'] is no default; write - GROUP: NAME"),
    "option": ("defaults:\n  - override /data: vocc_classic\n", "there is no such data; did you mean voc_classic?"),
    "gap": (
        'hydra:\n sweeper:\n  params:\n   seed: "0,,1"\n',
        "sweeps/gap.yaml, line 4: seed=0,,1: not an override; a value is missing beside a comma",
    ),
    "mapping": ("hydra: {sweeper: {params: {data: {split: 1/50}}}}\n", "write data.split: ... there, with dots"),
    "no_value": ("hydra: {sweeper: {params: {seed: }}}\n", "sweeps/no_value.yaml, line 1: seed has no value"),
    "not_varied": (
        "schedule:\n  lr: [0.1, 0.2]\n",
        "line 2: schedule.lr is [0.1, 0.2]; it must be a number, above 0 to 1,000; to vary it, "
        "say schedule.lr: 0.1,0.2 in hydra.sweeper.params",
    ),
    "yaml_list": (
        "hydra:\n sweeper:\n  params:\n   method: gta\n   seed: [0, 1]\n",
        "sweeps/yaml_list.yaml, line 5: seed has a YAML list, and what is varied is text with commas: write seed: 0,1.",
    ),
    "follows": (
        "hydra:\n sweeper:\n  params:\n   method: gta,supervised\n   schedule: ${method}\n",
        "sweeps/follows.yaml, line 5: schedule follows from ${method}, and what is varied is values: say it outside of "
        "hydra.sweeper.params",
    ),
    "misspelt": (
        "hydra:\n sweeper:\n  params: {sede: 1}\n",
        "line 3: sede: there is no such setting; did you mean seed",
    ),
    "empty": ("hydra: null\n", "sweeps/empty.yaml, line 1: hydra is empty; it holds settings"),
    "null_sweeper": ("hydra:\n  sweeper:\n", "sweeps/null_sweeper.yaml, line 2: hydra.sweeper is empty"),
    "kind": (
        "seed: 1\nschedule:\n  iterations: many\n",
        "line 3: schedule.iterations is 'many'; it must be a whole number",
    ),
    "inner": (
        "schedule: {iteration: 3}\n",
        "schedule.iteration: the chosen method or group has no such setting; did you mean schedule.iterations",
    ),
    "another": (
        "defaults: [override /method: supervised]\nmethod: {drop_percent: 3}\n",
        "line 2: method.drop_percent: the chosen method or group has no such setting; "
        "student_teacher, gta have it; for some rows alone, choose a file conf/method/NAME.yaml",
    ),
    "gpus": (
        "site: {gpus: 4}\n",
        "line 1: site.gpus: the chosen method or group has no such setting; did you mean site.gpus_per",
    ),
    "outer": (
        "seed: 1\nsheduel: {lr: 3}\n",
        "sweeps/outer.yaml, line 2: sheduel is no setting; did you mean",
    ),
    "section": (
        "data: voc\n",
        "data is 'voc'; it holds settings, a line each (name: value), or choose one in",
    ),
}
FOREIGN = {
    "callbacks": ("hydra:\n  callbacks:\n    x: {_target_: shutil.copy}\n", "line 2: hydra.callbacks is not a sweep's"),
    "environment": ("hydra: {job: {env_set: {A: b}}}\n", "hydra.job is not a sweep's to say"),
    "target": ("hydra: {launcher: {_target_: os.system}}\n", "hydra.launcher is not a sweep's to say"),
    "sampler": ("hydra: {sweeper: {sampler: {_target_: a.b}}}\n", "hydra.sweeper.sampler is not a sweep's to say"),
    "package": ("defaults: [/data@hydra.callbacks.x: shapes]\n", "is not for a file to choose"),
    "hydras_group": ("defaults: [override /hydra/job_logging: stdout]\n", "is not for a file to choose"),
    "elsewhere": ("defaults: [override /data: '${oc.env:HOME}']\n", "depends on where it is read"),
}
DATA = {
    "hidden_hydra": (
        "# @package data._global_.hydra\njob: {env_set: {A: b}}\n",
        "hidden_hydra.yaml: its header says @package data._global_.hydra; a file sets our own groups only",
    ),
    "hidden_key": ("# @package data._global_\nsheduel: {lr: 3}\n", "line 2: sheduel is no setting"),
    "tab": ("a:\n\tb: 1\n", "conf/data/tab.yaml, line 2 is not YAML: a tab stands"),
    "global": ("# @package _global_\nhydra: {callbacks: {}}\n", "line 2: a file of data sets our own groups only"),
    "header": (
        "# @package hydra.callbacks\nx: {}\n",
        "header.yaml: its header says @package hydra.callbacks",
    ),
    "no_header": ("# @package\nx: 1\n", "conf/data/no_header.yaml, line 1: Expected header format"),
    "misspelt": (
        "name: x\nclases: [a, b]\n",
        "line 2: data.clases: the chosen method or group has no such setting; did you mean data.classes",
    ),
    "word": ("name: x\nclasses: road\n", "conf/data/word.yaml, line 2: data.classes must be a list of 0 to 254 texts"),
    "kind": (
        "name: x\ncrop_size: wide\n",
        "conf/data/kind.yaml, line 2: data.crop_size is 'wide'; it must be a whole number, 16",
    ),
}


def write(folder: Path) -> None:
    """All of the above in ./sweeps and ./conf, and what editors and accidents leave there."""
    for place, files in (("sweeps", SWEEPS | FOREIGN), ("conf/data", DATA)):
        (folder / place).mkdir(parents=True)
        for name, (text, _) in files.items():
            (folder / place / f"{name}.yaml").write_text(text)
        (folder / place / ".#x.yaml").symlink_to("user@host.1234:1")  # an editor's lock
        (folder / place / "lost.yaml").symlink_to("nowhere")
        (folder / place / "folder.yaml").mkdir()
        (folder / place / "binary.yaml").write_bytes(b"seed: 1\n\x00\x01\xff\xfe")
    (folder / "conf" / "schema.yaml").write_text("note: ours\n")


@pytest.fixture(scope="module")
def hydra(tmp_path_factory: pytest.TempPathFactory) -> Hydra:
    """Hydra in a folder with all of these files."""
    from launch.grid import plugins

    folder = tmp_path_factory.mktemp("broken")
    write(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        plugins.install()
        return compose.start()


@pytest.fixture(autouse=True)
def inside(hydra: Hydra, monkeypatch: pytest.MonkeyPatch) -> None:
    source = next(one for one in loader_of(hydra).get_sources() if one.scheme() == "own-settings")
    monkeypatch.chdir(Path(source.path).parent)


def refused(hydra: Hydra, word: str) -> str:
    with pytest.raises(UserError) as caught:
        expand(master_config(hydra, [word]), loader_of(hydra))
    said = str(caught.value)
    assert "\n" not in said, "one sentence"
    return said


@pytest.mark.parametrize("name", SWEEPS)
def test_a_sweep_that_cannot_be_used_says_where_and_why(hydra: Hydra, name: str) -> None:
    assert SWEEPS[name][1] in refused(hydra, f"sweep={name}")


@pytest.mark.parametrize("name", FOREIGN)
def test_a_sweep_sets_nothing_of_hydras_but_what_is_varied(hydra: Hydra, name: str) -> None:
    assert FOREIGN[name][1] in refused(hydra, f"sweep={name}")


@pytest.mark.parametrize("name", DATA)
def test_a_data_set_that_cannot_be_used_says_where_and_why(hydra: Hydra, name: str) -> None:
    assert DATA[name][1] in refused(hydra, f"data={name}")


def test_a_binary_file_is_not_text(hydra: Hydra) -> None:
    assert refused(hydra, "sweep=binary") == "sweeps/binary.yaml, line 2 is not text in UTF-8."


def test_what_is_no_file_is_not_there(hydra: Hydra) -> None:
    for word in ("sweep=lost", "sweep=folder", "sweep=.#x", "data=lost", "data=.#x"):
        assert "there is no such" in refused(hydra, word.replace("#", "\\#")) or "not an override" in refused(
            hydra, word
        )


def test_a_sweep_may_tell_a_sweeper_that_learns_in_plain_values(hydra: Hydra) -> None:
    Path("sweeps/learns.yaml").write_text(
        "hydra: {sweeper: {max_batch_size: 4, params: {seed: 1_0, data.split: 1/50}}}\n"
    )
    master = master_config(hydra, ["sweep=learns"])
    assert master.hydra.sweeper.max_batch_size == 4
    assert expand(master, loader_of(hydra)) == [["seed='1_0'", "data.split=1/50", "sweep=learns"]]


@pytest.mark.parametrize(
    "word",
    ["hydra.launcher._target_=x", "hydra.launcher._target_=os.system", "hydra/launcher=basic", "hydra.sweeper=null"],
)
def test_a_launcher_that_runs_no_cells_is_refused_in_a_sentence(hydra: Hydra, word: str) -> None:
    assert "by which no cells are run" in refused(hydra, word)


@pytest.mark.slow
def test_every_command_over_another_sweep_runs_and_warns(tmp_path: Path, generated: Path, say: Run) -> None:
    """multirun is what a cron job runs."""
    write(tmp_path)
    lines = ["seed: 0", "hydra: {sweeper: {params: {method: supervised, data.split: 1/5}}}"]
    (tmp_path / "sweeps" / "mine.yaml").write_text("\n".join(lines))
    words = ["sweep=mine", f"paths.data={generated}", *SMALL_SHAPES, *SMALL_SCHEDULE]
    told = {}
    for command in ("plan", "multirun", "status", "doctor", "show"):
        names = ["supervised/1/5/seed0"] if command == "show" else []
        answer = say(command, *names, *words)
        assert answer.returncode == 0, f"{command}: {answer.stdout}{answer.stderr}"
        told[command] = answer.stdout
        passed_over = [line for line in answer.stderr.splitlines() if line.startswith("passed over: ")]
        if command != "doctor":  # which says it its own way
            assert "passed over: sweeps/tab.yaml, line 2 is not YAML: a tab stands where spaces must." in passed_over
            assert any(line.startswith("passed over: conf/data/tab.yaml, line 2 is not YAML") for line in passed_over)
            assert len(passed_over) == len(set(passed_over)), "each once"
            assert not any("mine.yaml" in line for line in passed_over)
    assert "1 cells: 1 done" in told["status"].replace("1 cell:", "1 cells:")
    assert "sweep=tab cannot be used" in told["doctor"]
    assert "conf/data/tab.yaml, line 2 is not YAML" in told["doctor"]


def test_completion_passes_over_hidden_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gta.cli.candidates import groups

    write(tmp_path)
    monkeypatch.chdir(tmp_path)
    found = groups()
    for group in ("sweep", "data"):
        assert "tab" in found[group]
        assert not {".#x", "lost", "folder"} & set(found[group])
