"""`gta drill`: real runs that are really interrupted; what resumes is identical, and what does not is found by name."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gta.cell import Cell
from gta.certificate import Certificate, certificates
from gta.cli import composing
from gta.config import SiteConfig
from gta.errors import UserError
from launch.drill import compare, interrupted
from launch.drill import drill as drilling
from launch.drill.drill import Asked, Drill
from launch.drill.interrupted import Failed
from launch.drill.points import FEWEST, How, Inside, Plan, points
from tests.helpers.program import ROOT, Run, run_gta

FORGETFUL = '''\
"""A method that forgets a number of its own: it is in no state_dict."""

from dataclasses import dataclass

from gta.config import MethodConfig
from gta.fields import result
from gta.methods.base import Method


@dataclass(frozen=True, kw_only=True)
class ForgetfulConfig(MethodConfig):
    name: str = result("forgetful", "Key of the method in gta.methods.METHODS.")


class Forgetful(Method):
    Config = ForgetfulConfig
    seen = 0

    def supervised_loss(self, labeled, name="student"):
        self.seen += 1
        loss, values = super().supervised_loss(labeled, name)
        return loss * (1 + self.seen / 10), values
'''
LEAVES_THE_NUMBERS = ("schedule.lr=1000", "schedule.decoder_lr_factor=10000", "schedule.weight_decay=1")
TINY = ("model.width=4", "model.decoder_channels=8", "model.dropout=0.1", "site.device=cpu", "site.workers=0")


@pytest.fixture
def words(small: list[str]) -> list[str]:
    return ["drill", *small, *TINY]


def certificate(tmp_path: Path) -> Certificate:
    (found,) = certificates(tmp_path / "results/none")
    return found


def files(folder: Path) -> Iterator[str]:
    return (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.slow
def test_a_cell_that_resumes_gets_its_certificate(gta: Run, words: list[str], tmp_path: Path) -> None:
    """GTA, whose own cell is left as it is; the drill leaves nothing in its runs. Half steps are done again, before the
    first save all of them; files that were not in their place are written again.
    """
    words = [*words, "method=gta", "schedule.warm_up=0"]
    (cell,) = composing.grid(words[1:])[1]
    cell.write()
    before = {name: (tmp_path / "runs" / name).read_bytes() for name in files(tmp_path / "runs")}

    said = gta(*words, "--points", "save,evaluation,step,best,result")
    assert said.returncode == 0, said.stdout + said.stderr
    found = certificate(tmp_path)
    assert found.identical
    assert found.differences == []
    assert (found.signature, found.where, found.ranks) == (cell.signature, "local", 1)
    assert found.drilled != found.signature, "a short schedule is another cell"
    assert [(one.point.split(",")[0], one.resumed) for one in found.interruptions] == [
        ("kill -9 inside step 2", 0),
        ("kill -9 inside the evaluation of iteration 4", 2),
        ("kill -9 inside the save of the best weights of iteration 4", 2),
        ("kill -9 inside the save of the checkpoint of iteration 4", 2),
        ("kill -9 inside step 6", 4),
        ("kill -9 inside the evaluation of iteration 8", 8),
        ("kill -9 inside the write of the result", 8),
    ]
    assert {one.attempt for one in found.interruptions} == set(range(1, 8))
    compared = " ".join(found.compared)
    for word in ("student network", "teacher network", "assistant network", "assistant optimizer", "journal", "best"):
        assert word in compared

    text = (tmp_path / f"results/none/drill/{cell.signature}.txt").read_text()
    assert text == said.stdout == found.shown()
    assert text.endswith("verdict    identical, bit for bit\n")
    after = {name: (tmp_path / "runs" / name).read_bytes() for name in files(tmp_path / "runs")}
    assert after.keys() - before.keys() == {f"drills/{cell.signature}.lock"}
    assert {name: after[name] for name in before} == before


@pytest.mark.slow
def test_a_resume_that_is_broken_is_found_by_the_name_of_a_tensor(words: list[str], tmp_path: Path) -> None:
    """In a copy of the code with a method that keeps a number for itself; the shipped commands, from outside."""
    code = tmp_path / "code"
    for package in ("gta", "launch", "analysis", "sweeps"):
        shutil.copytree(ROOT / package, code / package, ignore=shutil.ignore_patterns("__pycache__"))
    (code / "gta/methods/forgetful.py").write_text(FORGETFUL)
    methods = code / "gta/methods/__init__.py"
    lines = "from gta.methods.forgetful import Forgetful\n\nMETHODS = Methods(\n    {'forgetful': Forgetful,"
    methods.write_text(methods.read_text().replace("METHODS = Methods(\n    {", lines))

    path = os.pathsep.join(filter(None, [str(code), os.environ.get("PYTHONPATH")]))
    said = run_gta(*words, "method=forgetful", "--points", "save", cwd=tmp_path, PYTHONPATH=path)
    assert said.returncode == 1, said.stdout + said.stderr
    found = certificate(tmp_path)
    assert not found.identical
    first = found.differences[0]
    point = "kill -9 inside the save of the checkpoint of iteration 4, before its rename"
    assert first.startswith(f"the checkpoint of iteration 4, after {point}: networks.student."), first
    assert "verdict    DIFFERS: the checkpoint of iteration 4" in said.stdout
    assert any(
        text.startswith("the last checkpoint: networks.student.") and "by up to" in text for text in found.differences
    )
    assert any(text.startswith("the journal: loss/supervised of iteration ") for text in found.differences)
    assert "The runs are kept in" in said.stderr
    assert (tmp_path / f"runs/drills/{found.signature}/interrupted").is_dir()


@pytest.mark.slow
def test_signals_lose_nothing_and_other_ranks_deviate_by_rounding(gta: Run, words: list[str], tmp_path: Path) -> None:
    words = [*words, "method=gta", "schedule.group_size=4"]
    said = gta(*words, "--ranks", "1,2", "--points", "between")
    assert said.returncode == 0, said.stdout + said.stderr
    found = certificate(tmp_path)
    assert found.identical
    signals = [("SIGTERM after step 3", 3), ("SIGTERM after step 7", 7)]
    assert [(one.point.split(",")[0], one.resumed) for one in found.interruptions] == signals, "no step is lost"
    (far,) = found.deviations
    assert (far.ranks, far.against, far.rounding) == (2, 1, True)
    assert 0 <= far.first <= 1e-4
    assert far.network in ("student", "teacher", "assistant")
    assert 0 < far.weights < 0.1
    assert f"ranks      2 against 1: losses {far.first:.1e} apart in the first two steps (rounding)" in said.stdout


@pytest.mark.slow
def test_a_run_that_fails_is_said_with_its_error(gta: Run, words: list[str], tmp_path: Path) -> None:
    said = gta(*words, "method=supervised", *LEAVES_THE_NUMBERS, "--points", "step")
    assert said.returncode == 1
    assert "DIFFERS: a run of the drill came to no result: failed: " in said.stdout
    assert "loss/supervised is " in said.stdout


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["method=gta,supervised"], "drill takes one cell, and this is a grid of 2: name one (gta"),
        (["--iterations", "4"], f"--iterations 4: a drill needs {FEWEST} or more"),
        (["deterministic=false"], "so there is nothing to drill"),
        (["--points", "safe"], "safe is no point; did you mean save?"),
        (["--ranks", "1,two"], "give numbers of ranks"),
        (["--ranks", "1,\u00b2"], "give numbers of ranks"),
        (["--ranks", "1,2"], "do not divide over 2 ranks"),
        (["site.nodes=2", "schedule.group_size=4"], "--slurm"),
    ],
)
def test_what_cannot_be_drilled_is_one_sentence(say: Run, words: list[str], more: list[str], sentence: str) -> None:
    said = say(*words, *more)
    assert said.returncode == 2, said.stderr
    assert sentence in said.stderr
    assert said.stderr.count("error:") == 1


@pytest.mark.parametrize("error", [OSError("a full disk"), Failed("requeue was refused"), KeyboardInterrupt()])
def test_no_job_outlives_its_drill(words: list[str], monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """It waits at its point, and would go on after that."""
    (cell,) = composing.grid([*words[1:], "method=supervised"])[1]
    ended = []

    class Watch:
        first = ()

        def __init__(self, *_: Any) -> None:
            pass

        def turn(self) -> list[Any]:
            raise error

        def over(self, entries: list[Any]) -> bool:
            return False

        def stop(self) -> None:
            ended.append(cell.signature)

    monkeypatch.setattr(interrupted, "Watch", Watch)
    plan = Plan(signature=cell.signature, iterations=8, points=[])
    cluster: Any = SimpleNamespace(name="local")
    with pytest.raises(type(error)):
        interrupted.train(cell, cluster, plan, False, print)
    assert ended == [cell.signature]


@pytest.mark.parametrize(
    ("own", "nodes", "asked", "pairs"),
    [
        (1, 1, (2,), [(2, 1)]),
        (2, 1, (1,), [(1, 2)]),
        (1, 1, (2, 1, 4), [(1, 2), (4, 2)]),
        (1, 2, (2,), [(4, 2)]),
        (1, 1, (), []),
    ],
)
def test_ranks_are_compared_with_the_first_or_with_the_cells_own(
    words: list[str], monkeypatch: pytest.MonkeyPatch, own: int, nodes: int, asked: tuple[int, ...], pairs: Any
) -> None:
    """Counted over all nodes, as the certificate counts its own."""
    more = (
        "method=supervised",
        "schedule.group_size=2",
        f"site.ranks={own}",
        f"site.nodes={nodes}",
        "site.notify=slack",
    )
    (cell,) = composing.grid([*words[1:], *more])[1]
    trained, said, clusters = [], list[str](), SimpleNamespace()
    sites = list[SiteConfig]()

    def train(cell: Cell, *_: object) -> None:
        sites.append(cell.config.site)
        trained.append(cell.config.site.ranks)

    monkeypatch.setattr(drilling, "train", train)
    monkeypatch.setattr(compare, "deviation", lambda one, other, ranks, against, precision: (ranks, against))
    made = Drill(cell, Asked(lambda _: clusters, True, 8, (), asked), said.append)  # type: ignore[arg-type, return-value]
    made.on_other_ranks()
    assert made.deviations == pairs
    assert sorted(trained) == sorted(set(asked) - {own})
    assert not any(site.notify for site in sites), "nobody is told of interruptions that are made on purpose"
    assert [text.split(" on ")[1].split(" rank")[0] for text in said] == [str(ranks * nodes) for ranks in trained]


def test_the_cells_own_number_of_ranks_alone_is_nothing_to_compare(words: list[str]) -> None:
    (cell,) = composing.grid([*words[1:], "method=supervised"])[1]
    with pytest.raises(UserError, match="--ranks 1 is what the cell has: give another number"):
        Drill(cell, Asked(lambda _: None, False, 8, (), (1,)), print)  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize("warm_up", [True, False])
@pytest.mark.parametrize("slurm", [True, False])
@pytest.mark.parametrize("iterations", [8, 9, 11, 50])
def test_points_come_in_the_order_of_the_run(iterations: int, warm_up: bool, slurm: bool) -> None:
    found = points(iterations, warm_up, slurm)
    assert [one.iteration for one in found] == sorted(one.iteration for one in found)
    assert {one.inside for one in found} == (
        {Inside.BETWEEN, Inside.EVALUATION, Inside.SAVE, Inside.STEP} if slurm else set(Inside)
    )
    assert ({one.how for one in found} == {How.REQUEUE}) == slurm
    assert max(one.iteration for one in found) <= iterations
    assert len(set(found)) == len(found)
