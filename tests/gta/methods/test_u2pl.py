"""U2PL's step against a second implementation, its memory over resumes, and what its settings do."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from gta.config import ModelConfig
from gta.errors import UserError
from gta.methods import Method
from gta.methods.mixing import cutmix_mask
from gta.models import build_model
from gta.ops.batch import Labeled, Unlabeled
from gta.ops.memory import Memory
from tests.helpers.method_contract import same, through_a_file
from tests.helpers.methods import CLASSES, difference, doubles
from tests.helpers.reference_gta import Setting
from tests.helpers.reference_u2pl import U2PLReference

Make = Callable[..., Method]
SIZES = [60, 40, 40, 40]
SMALL: dict[str, Any] = {"memory_size": 40, "memory_size_first": 60, "anchors": 5, "anchor_negatives": 4, "low_rank": 1,
                         "high_rank": 3, "epochs": 10, "cutmix_probability": 0.8, "contrast_weight": 0.25}  # fmt: skip

AS_CODE: dict[str, Any] = {"negatives": "as_code", "pairing": "as_code"}


def without_a_class(labeled: Labeled, unlabeled: Unlabeled) -> tuple[Labeled, Unlabeled]:
    """Float64, and no label of class 1: the classes of a group are then not 0, 1, 2 ... in their order."""
    labeled, unlabeled = doubles(labeled, unlabeled)
    return Labeled(labeled.image, labeled.mask.masked_fill(labeled.mask == 1, 3)), unlabeled


@pytest.mark.slow
@pytest.mark.parametrize("readings", [{}, {"pairing": "as_code"}, AS_CODE], ids=["as_paper", "pairing", "as_code"])
def test_five_steps_agree(readings: dict[str, Any], make: Make, batch: Callable[..., Any]) -> None:
    """Losses, every weight and statistic, and the memory, to 1e-9, over the warm-up and the first epoch after it."""
    tied = 0 if readings == AS_CODE else 2
    method = make("u2pl", {"dropout": 0.0}, {"ema_delay": tied}, dtype=torch.float64, **SMALL, **readings)
    setting = Setting(iterations=20, warm_up=2, group_size=2, lr=0.05, decoder_lr_factor=2.0, ema_decay=0.9)
    reference = U2PLReference(
        method.networks(), setting, classes=CLASSES, sizes=SIZES, epochs=10, percent=20.0, weight=0.25, threshold=0.3,
        low_rank=1, high_rank=3, anchors=5, others=4, temperature=0.5, tied=tied,
        own_label=readings.get("negatives") == "as_code", by_place=readings.get("pairing") == "as_code",
    )  # fmt: skip
    contrasts = []
    for iteration in range(5):
        labeled, unlabeled = without_a_class(*batch(iteration))
        if iteration == 2:
            method.end_warm_up()
            reference.networks["representation"] = copy.deepcopy(method.models["representation"])
        boxes = [cutmix_mask(unlabeled, 2, 0.8, 0, iteration)]
        expected = reference.run(labeled, unlabeled, boxes, iteration)
        values = method.step(labeled, unlabeled, iteration)
        for key, value in expected.items():
            assert values[key].item() == pytest.approx(value, abs=1e-9, rel=0), (iteration, key)
        for name, network in reference.networks.items():
            assert difference(method.models[name], network) < 1e-9, (iteration, name)
        assert_same_memory(method, reference.memory)
        contrasts.append(values.get("loss/contrast", torch.zeros(())).item())
    assert set(method.models) == {*reference.networks, "memory"}
    assert all(value > 0 for value in contrasts[2:])
    ordered = [present == list(range(len(present))) for present in reference.present]
    assert not all(ordered), "pairing must matter in this test"
    lengths = [len(vectors) for vectors in reference.memory]
    assert any(lengths)
    if "negatives" not in readings:
        assert lengths == SIZES, "queues must run over in this test"


def assert_same_memory(method: Method, expected: list[list[Tensor]]) -> None:
    if "memory" not in method.models:
        assert not any(expected)
        return
    memory = memory_of(method)
    for label, vectors in enumerate(expected):
        assert memory.count(label) == len(vectors)
        for number, vector in enumerate(vectors):
            assert (memory.take(label, torch.tensor(number)) - vector).abs().max() < 1e-9, (label, number)


def memory_of(method: Method) -> Memory:
    return cast(Memory, method.models["memory"])


@pytest.mark.slow
def test_a_resumed_run_remembers_what_it_saw(make: Make, run: Any) -> None:
    """The memory is in the checkpoint, queues that have run over too; another size of it is another model."""
    whole, resumed = make("u2pl", **SMALL), make("u2pl", **SMALL)
    run(whole, 0, 4)
    state = through_a_file(whole.state_dict())
    assert (memory_of(whole).added > torch.tensor(SIZES)).all()
    resumed.load_state_dict(state)
    assert run(whole, 4, 7) == run(resumed, 4, 7)
    assert same(whole.state_dict(), resumed.state_dict())
    with pytest.raises(UserError, match="another model"):
        make("u2pl", **{**SMALL, "memory_size": 30}).load_state_dict(state)


def test_a_checkpoint_holds_no_more_than_there_is(make: Make, run: Any) -> None:
    """Not queues of the size that they may have."""
    method = make("u2pl")
    run(method, 0, 3)
    held = {key: len(tensor) for key, tensor in method.state_dict()["networks"]["memory"].items() if key != "added"}
    assert held == {f"vectors{label}": memory_of(method).count(label) for label in range(CLASSES)}
    assert 0 < max(held.values()) < 1000


def test_the_teacher_stays_a_copy_as_long_as_it_is_to(make: Make, run: Any) -> None:
    """And its BatchNorm statistics move by its own passes; its head goes along."""
    method = make("u2pl", schedule={"ema_delay": 2}, **SMALL)
    pairs = (("teacher", "student"), ("teacher_representation", "representation"))
    for iteration in range(2, 6):
        run(method, iteration, iteration + 1)
        for mine, theirs in pairs:
            together = zip(method.models[mine].parameters(), method.models[theirs].parameters(), strict=True)
            assert all(torch.equal(a, b) for a, b in together) == (iteration < 4), (iteration, mine)
    statistics = [dict(method.models[name].named_buffers()) for name in ("teacher", "student")]
    names = [name for name in statistics[0] if name.endswith("running_mean")]
    assert any(not torch.equal(statistics[0][name], statistics[1][name]) for name in names)


def test_what_is_unreliable_falls_from_epoch_to_epoch(make: Make) -> None:
    method: Any = make("u2pl", epochs=10)
    found = [method.unreliable_percent(iteration) for iteration in range(20)]
    assert found == pytest.approx([20.0 * (1 - iteration // 2 / 10) for iteration in range(20)])
    by_step: Any = make("u2pl")
    found = [by_step.unreliable_percent(iteration) for iteration in range(20)]
    assert found == pytest.approx([20.0 - iteration for iteration in range(20)]), "nothing says how many epochs"


@pytest.mark.parametrize(("batch", "group", "weight"), [(16, 4, 0.25), (16, 2, 0.125), (8, 4, 0.5), (4, 4, 1.0)])
def test_the_codes_contrast_weighs_one_over_the_groups(batch: int, group: int, weight: float, make: Make) -> None:
    """Of VOC's 4 GPUs, Cityscapes' 8, and of others; a weight that is given stays."""
    groups = {"batch_size": batch, "group_size": group}
    method: Any = make("u2pl", schedule=groups, contrast_weight=None)
    assert method.contrast_weight == weight
    paper: Any = make("u2pl", schedule=groups)
    assert paper.contrast_weight == 0.1


def test_a_step_weighs_its_contrast_so(make: Make, run: Any) -> None:
    """null and 1/2, of two groups, are one result; 0.1 is another."""
    weights = []
    for weight in (None, 0.5, 0.1):
        method = make("u2pl", **{**SMALL, "contrast_weight": weight})
        assert run(method, 0, 3)[2]["loss/contrast"] > 0
        weights.append(method.state_dict()["networks"]["student"])
    assert same(weights[0], weights[1])
    assert not same(weights[0], weights[2])


def test_the_head_is_the_published_one() -> None:
    """Of a decoder as wide as the published: 512 to 256 to 256 to 256, dropout 0.1; and none in the network itself."""
    model = build_model(ModelConfig(encoder="tiny", width=4, weights="random"), 21)
    before = {id(parameter) for parameter in model.parameters()}
    head = model.representation_head()
    shapes = [(m.in_channels, m.out_channels, m.kernel_size) for m in head if isinstance(m, nn.Conv2d)]
    assert shapes == [(512, 256, (3, 3)), (256, 256, (3, 3)), (256, 256, (1, 1))]
    kinds = ["Conv2d", "BatchNorm2d", "ReLU", "Dropout2d"]
    assert [type(m).__name__ for m in head] == [*kinds, *kinds, "Conv2d"]
    assert all(m.p == 0.1 for m in head if isinstance(m, nn.Dropout2d))
    assert all(m.bias is not None for m in head if isinstance(m, nn.Conv2d))
    assert {id(parameter) for parameter in model.parameters()} == before


@pytest.mark.parametrize("cut", ["classifier", "output", "fusion", "decoder"])
def test_over_dpt_the_head_sees_what_the_last_fusion_gives_wherever_the_cut_is(cut: str, make: Make, run: Any) -> None:
    method: Any = make("u2pl", dpt=cut, **SMALL)
    seen: list[tuple[int, ...]] = []
    run(method, 0, 2)
    method.end_warm_up()
    method.models["representation"].register_forward_pre_hook(lambda _, given: seen.append(tuple(given[0].shape)))
    value = run(method, 2, 3)[0]
    assert value["loss/contrast"] > 0
    assert seen == [(8, 6, 48, 48)], "PLANES maps, twice as fine as the finest level"
