"""The maths does not depend on the number of ranks: one process against two and four (gloo, DDP), with dropout."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from filelock import FileLock
from torch import Tensor, nn

from gta.methods.mixing import cutmix_mask
from tests.helpers.program import ROOT
from tests.helpers.reference_gta import Reference, Setting

pytestmark = pytest.mark.slow

SUPERVISED = ["supervised_ohem"]
WITH_TEACHER = [
    "augseg",
    "mean_teacher",
    "cutmix",
    "student_teacher",
    "gta",
    "gta_separate",
    "gta_shared",
    "gta_dpt",
    "gta_adamw",
    "unimatch_v2_dpt",
]
SCENARIOS = [*SUPERVISED, "fixmatch", "unimatch_levelled", "cps_plain", *WITH_TEACHER]
Answers = dict[tuple[int, int], dict[str, Any]]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """What each rank wrote, by (world size, rank)."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "ranks"
    with FileLock(f"{folder}.lock"):  # made once, whoever of pytest's workers is first
        if not (folder / "whole").exists():
            folder.mkdir(exist_ok=True)
            command = [sys.executable, "-m", "tests.helpers.rank_worker", str(folder)]
            ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
            assert ended.returncode == 0, ended.stderr[-4000:]
            (folder / "whole").touch()
    keys = [(world, rank) for world in (1, 2, 4) for rank in range(world)]
    return {key: torch.load(folder / f"{key[0]}_{key[1]}.pt", weights_only=True) for key in keys}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_one_and_two_ranks_give_the_same_losses(answers: Answers, scenario: str) -> None:
    one, two = answers[1, 0][scenario]["values"], answers[2, 0][scenario]["values"]
    assert len(one) == 4
    assert ("loss/unsupervised" in one[2]) == (scenario not in SUPERVISED), "the warm-up ends within the test"
    for a, b in zip(one, two, strict=True):
        assert a.keys() == b.keys()
        assert list(a.values()) == pytest.approx(list(b.values()), rel=2e-5, abs=1e-6)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_one_and_two_ranks_give_the_same_networks(answers: Answers, scenario: str) -> None:
    """Parameters and BatchNorm statistics of every network, with the same names (a checkpoint fits either way)."""
    one, two = answers[1, 0][scenario]["networks"], answers[2, 0][scenario]["networks"]
    assert one.keys() == two.keys()
    assert set(one) >= ({"student", "teacher"} if scenario in WITH_TEACHER else {"student"})
    for name in one:
        assert one[name].keys() == two[name].keys()
        for key, tensor in one[name].items():
            assert torch.allclose(tensor.double(), two[name][key].double(), rtol=1e-4, atol=2e-5), f"{name} {key}"


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_ranks_agree_bit_for_bit(answers: Answers, scenario: str) -> None:
    first, second = (answers[2, rank][scenario]["networks"] for rank in (0, 1))
    for name in first:
        assert all(torch.equal(tensor, second[name][key]) for key, tensor in first[name].items()), name


@pytest.mark.parametrize("rank", [(1, 0), (2, 0), (2, 1)])
def test_float64_steps_are_those_of_the_reference(
    answers: Answers, rank: tuple[int, int], make: Callable[..., Any], batch: Callable[..., Any]
) -> None:
    """Losses and every parameter and statistic to 1e-10 after each of five steps, the warm-up ending after two."""
    schedule = {"batch_size": 8, "group_size": 2}
    model = {"dropout": 0.0, "auxiliary": True}
    method = make("gta", model, schedule, dtype=torch.float64)
    setting = Setting(iterations=20, warm_up=2, group_size=2, lr=0.05, decoder_lr_factor=2.0, ema_decay=0.9)
    reference = Reference(method.networks()["student"], setting)
    for iteration, found in enumerate(answers[rank]["float64"]):
        labeled, unlabeled = batch(iteration, 8)
        boxes = cutmix_mask(unlabeled, 2, 0.7, seed=0, iteration=iteration)
        images = labeled.image.double(), labeled.mask, unlabeled.weak.double()
        expected = reference.step(*images, unlabeled.padding, boxes, iteration)
        assert {k: v.item() for k, v in found["losses"].items()} == pytest.approx(expected, abs=1e-10, rel=0)
        assert found["networks"].keys() == reference.networks.keys()
        for name, network in reference.networks.items():
            for key, tensor in network.state_dict().items():
                gap = (tensor.double() - found["networks"][name][key].double()).abs().max()
                assert gap < 1e-10, (iteration, name, key)
    assert len(answers[rank]["float64"]) == 5


def test_two_parts_on_two_ranks_are_the_whole_batch_on_one(answers: Answers) -> None:
    """Losses and every weight, of every method, in float64 with BatchNorm's statistics frozen; and DDP averages the
    gradients once a step, not once a part.
    """
    one, two, other = (answers[key]["accumulated"] for key in ((1, 0), (2, 0), (2, 1)))
    assert len(one) >= 8
    for method, whole in one.items():
        assert_same_to_rounding(whole, two[method])
        assert_same_to_rounding(two[method], other[method])
        assert (whole["averaged"], two[method]["averaged"]) == (0, 3), method


@pytest.mark.parametrize("kind", ["accumulated", "synchronised"])
def test_four_ranks_compute_what_one_does(answers: Answers, kind: str) -> None:
    """Losses and every weight in float64, with BatchNorm's statistics frozen, and with those of all ranks."""
    for rank in range(4):
        for method, found in answers[4, rank][kind].items():
            assert_same_to_rounding(answers[1, 0][kind][method], found)


@pytest.mark.parametrize("world", [2, 4])
def test_every_rank_remembers_the_same(answers: Answers, world: int) -> None:
    """Bit for bit, in queues that have run over: of u2pl's memory."""
    whole = answers[1, 0]["synchronised"]["u2pl"]["networks"]["memory"]
    first, *others = (answers[world, rank]["synchronised"]["u2pl"]["networks"]["memory"] for rank in range(world))
    assert [len(first[f"vectors{label}"]) for label in range(4)] == [150, 100, 100, 100]
    assert (first["added"] > 150).all()
    for memory in others:
        assert all(torch.equal(tensor, memory[key]) for key, tensor in first.items())
    assert torch.equal(whole["added"], first["added"])


def test_two_ranks_compute_what_one_does_and_agree_bit_for_bit(answers: Answers) -> None:
    first, second = (answers[2, rank]["synchronised"] for rank in range(2))
    for method, whole in answers[1, 0]["synchronised"].items():
        assert_same_to_rounding(whole, first[method])
        for name, network in first[method]["networks"].items():
            other = second[method]["networks"][name]
            assert all(torch.equal(tensor, other[key]) for key, tensor in network.items()), (method, name)


@pytest.mark.parametrize("world", [2, 4])
@pytest.mark.parametrize("kind", ["accumulated", "synchronised"])
def test_dropout_draws_the_same_for_each_image(answers: Answers, world: int, kind: str) -> None:
    """Of every network, pass, layer and view, bit for bit; the teacher's second pass and dropped features are in it."""
    for method in answers[world, 0][kind]:
        whole = answers[1, 0][kind][method]
        seen = {network for _, network, _ in whole["drawn"]}
        assert seen >= {"gta": {"student", "assistant", "teacher"}, "cps": {"student", "student2"}}.get(method, set())
        assert len(whole["drawn"]) >= 3 * 4, "three steps of four layers"
        shares = [answers[world, rank][kind][method]["drawn"] for rank in range(world)]
        for key, drawn in whole["drawn"].items():
            assert (drawn >= 0).all()
            mine = [share[key] for share in shares]
            assert (sum((one >= 0).long() for one in mine) == 1).all(), "each image is one rank's"
            assert torch.equal(torch.stack(mine).amax(0), drawn), (method, key)
        assert all(share.keys() == whole["drawn"].keys() for share in shares)


def test_a_part_is_one_batch_to_batchnorm_on_any_number_of_ranks(answers: Answers) -> None:
    """Two parts on one rank and on two; and that is not what the whole batch gives."""
    one, two = (answers[key]["normalised"] for key in ((1, 0), (2, 0)))
    for method, parts in one.items():
        assert_same_to_rounding(parts, two[method])
        whole = answers[1, 0]["synchronised"][method]["values"]
        assert parts["values"][0]["loss/supervised"] != pytest.approx(whole[0]["loss/supervised"], rel=1e-4)


def assert_same_to_rounding(one: dict[str, Any], other: dict[str, Any]) -> None:
    for a, b in zip(one["values"], other["values"], strict=True):
        assert a == pytest.approx(b, abs=1e-10, rel=0)
    assert one["networks"].keys() == other["networks"].keys()
    for name, network in one["networks"].items():
        for key, tensor in network.items():
            assert (tensor.double() - other["networks"][name][key].double()).abs().max() < 1e-10, (name, key)


def test_batchnorm_is_that_of_the_joined_batch_and_so_are_its_gradients(answers: Answers) -> None:
    """Shares of 3 and 5 images; the mean is several deviations away from 0 (digits must not be lost)."""
    whole, first, second = (answers[key]["batchnorm"] for key in ((1, 0), (2, 0), (2, 1)))
    assert whole["grad"].abs().max() > 0.1
    for key in ("out", "grad", "evaluated"):
        joined = torch.cat([first[key], second[key]])
        assert torch.allclose(whole[key], joined, atol=1e-4 * float(whole[key].abs().max())), key
    for key in ("0.weight", "0.bias", "0.running_mean", "0.running_var", "0.num_batches_tracked"):
        assert torch.allclose(whole[key].double(), first[key].double(), rtol=1e-4), key
        assert torch.equal(first[key], second[key]), key


def test_one_process_keeps_torchs_batchnorm(answers: Answers) -> None:
    """The reference of the test above is nn.BatchNorm2d itself."""
    torch.manual_seed(0)
    x: Tensor = torch.randn(8, 3, 4, 5) * 3 + 10
    torch.randn(8, 3, 4, 5)
    norm = nn.BatchNorm2d(3)
    nn.init.normal_(norm.weight)
    assert torch.equal(norm(x), answers[1, 0]["batchnorm"]["out"])


def test_collectives(answers: Answers) -> None:
    for rank in (0, 1):
        found = answers[2, rank]["collectives"]
        assert found["sum"].tolist() == [2**41 + 1, 2]
        assert found["argument"].tolist() == [2**40 + rank, 1]
        assert found["highest"] == [0, 2, 1]
        assert found["broadcast"] == {"from": 0}
    alone = answers[1, 0]["collectives"]
    assert alone["highest"] == [0, 2, 1]
    assert alone["sum"].tolist() == [2**40, 1]
