"""AugSeg: its steps against an implementation of its own in float64; its boxes, coins, partners and teacher."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from gta.methods import Method
from gta.methods.augseg import OF_LABELED, OF_MIXED, Drawn, draw, mix
from gta.ops.batch import Labeled, PseudoLabeled, Unlabeled
from tests.helpers.methods import difference, doubles, make_batch
from tests.helpers.reference_augseg import AugSegReference
from tests.helpers.reference_gta import Setting

Make = Callable[..., Method]


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [
        {},
        {"learned": True, "threshold": 0.0, "decay": 0.6, "delay": 2},
        {"inject": False, "delay": 1},
    ],
    ids=["padding as in the paper", "padding as in the code, delayed EMA, no threshold", "no label injection"],
)
def test_five_steps_agree(case: dict[str, Any], make: Make, batch: Callable[..., Any]) -> None:
    """Losses, weights and BatchNorm statistics to 1e-9, over the warm-up's end and the teacher's first steps."""
    knobs = {"threshold": 0.6, "decay": 0.999, "delay": 0, "learned": False, "inject": True, **case}
    method = make(
        "augseg", {"dropout": 0.0}, {"ema_delay": knobs["delay"]}, dtype=torch.float64, threshold=knobs["threshold"],
        teacher_decay=knobs["decay"], padding="as_code" if knobs["learned"] else "as_paper",
        label_injection=knobs["inject"],
    )  # fmt: skip
    with torch.no_grad():  # an untrained network is so unsure that every image would get a labeled box
        method.networks()["student"].mask_predictor[-1].weight.mul_(25)  # type: ignore[index, union-attr]
    setting = Setting(iterations=20, warm_up=2, group_size=2, lr=0.05, decoder_lr_factor=2.0, ema_decay=0.9)
    reference = AugSegReference(method.networks(), setting, **knobs)
    injected, shares = [], []
    for iteration in range(5):
        labeled, unlabeled = doubles(*batch(iteration))
        expected = reference.run(labeled, unlabeled, [], iteration)
        values = method.step(labeled, unlabeled, iteration)
        assert {key for key in values if key.startswith("loss/")} == set(expected)
        for key, value in expected.items():
            assert values[key].dtype == torch.float64
            assert values[key].item() == pytest.approx(value, abs=1e-9, rel=0), (iteration, key)
        for name, model in method.models.items():
            assert difference(model, reference.networks[name]) < 1e-9, (iteration, name)
        if iteration >= 2:
            assert values["pseudo/injected"].item() == sum(reference.injected) / 4
            injected += reference.injected
            shares.append(values["pseudo/kept"].item())
    assert not knobs["inject"] or {True, False} == set(injected), "both must happen in this test"
    assert not knobs["threshold"] or all(0 < share < 1 for share in shares[-2:]), (
        f"the threshold must matter in this test: {shares}"
    )


def test_its_settings_are_the_published_ones(make: Make) -> None:
    method: Any = make("augseg")
    assert (method.config.threshold, method.config.teacher_decay, method.config.unsupervised_weight) == (0.95, 0.999, 1)
    assert (method.strong_views, method.headline, OF_LABELED, OF_MIXED) == (1, "teacher", (8, 2), (4, 4))
    assert method.kept(torch.tensor([0.94, 0.95])).tolist() == [False, True]


def blank(images: int, height: int = 40, width: int = 56, first_group: int = 0) -> Unlabeled:
    weak = torch.zeros(images, 3, height, width)
    return Unlabeled(weak, weak, torch.zeros(images, height, width, dtype=torch.bool), first_group)


def sides(inside: torch.Tensor) -> tuple[int, int, int, int]:
    """top, bottom, left, right of what must be one full rectangle."""
    ys, xs = torch.nonzero(inside, as_tuple=True)
    box = int(ys.min()), int(ys.max()) + 1, int(xs.min()), int(xs.max()) + 1
    assert inside.sum() == (box[1] - box[0]) * (box[3] - box[2])
    return box


def test_a_group_has_one_size_of_each_box_and_every_image_a_place_of_its_own() -> None:
    """Boxes that no border cuts are of one even size in a group; labeled ones a fifth of the image on average, the
    others half of it, and a part of both is cut off.
    """
    sizes: dict[str, list[float]] = {"of_labeled": [], "of_mixed": []}
    tops = []
    for iteration in range(150):
        drawn = draw(blank(8), 8, 3, iteration)
        for name, found in sizes.items():
            whole = set()
            for inside in getattr(drawn, name):
                if not inside.any():
                    continue
                top, bottom, left, right = sides(inside)
                tops.append(top)
                if top > 0 and bottom < 40 and left > 0 and right < 56:
                    whole.add((bottom - top, right - left))
            assert len(whole) < 2, "one lambda a group"
            for height, width in whole:
                assert height % 2 == width % 2 == 0
                assert abs(height * 56 - width * 40) <= 2 * 56, "as long, of its own side, both ways"
                found.append(height * width / (40 * 56))
    assert 0.14 < sum(sizes["of_labeled"]) / len(sizes["of_labeled"]) < 0.2, "1 - 0.8, less what is rounded down"
    assert 0.28 < sum(sizes["of_mixed"]) / len(sizes["of_mixed"]) < 0.5, "a large one is cut off more often"
    assert min(tops) == 0
    assert max(tops) > 30


def test_centres_leave_out_the_first_eighth() -> None:
    """Of the rows and the columns: a small box there is at least an eighth away from the top and the left."""
    centres = []
    for iteration in range(200):
        for inside in draw(blank(4, 64, 64), 4, 0, iteration).of_labeled:
            if inside.any():
                top, bottom, left, right = sides(inside)
                centres += [(top + bottom) // 2] if top > 0 and bottom < 64 else []
                centres += [(left + right) // 2] if left > 0 and right < 64 else []
    assert 8 <= min(centres) < 14


def test_partners_are_a_permutation_of_the_group_that_may_leave_an_image_in_its_place() -> None:
    orders = [draw(blank(6), 3, 0, iteration).partner.tolist() for iteration in range(200)]
    assert all(sorted(order[:3]) == [0, 1, 2] and sorted(order[3:]) == [3, 4, 5] for order in orders)
    assert {tuple(order[:3]) for order in orders} == {(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)}
    assert any(order[0] != order[3] - 3 for order in orders), "each group its own"


def test_the_draw_depends_on_seed_iteration_and_global_group_not_on_the_rank() -> None:
    whole = draw(blank(6), 3, 2, 7)
    first, second = (draw(blank(3, first_group=group), 3, 2, 7) for group in (0, 1))
    for name in ("of_labeled", "of_mixed", "coins"):
        assert torch.equal(getattr(whole, name), torch.cat([getattr(first, name), getattr(second, name)])), name
    assert torch.equal(whole.partner, torch.cat([first.partner, second.partner + 3]))
    assert not torch.equal(first.coins, second.coins)
    for seed, iteration in ((3, 7), (2, 8)):
        assert not torch.equal(draw(blank(6), 3, seed, iteration).coins, whole.coins)


def test_a_labeled_box_comes_along_with_its_mask_at_confidence_1_inside_the_partners_box_alone() -> None:
    """Two images that are each other's partner; the first one's copy is injected, by labeled image 1."""
    shape = (2, 6, 6)
    shown = PseudoLabeled(torch.zeros(2, 3, 6, 6), torch.zeros(shape, dtype=torch.long), torch.full(shape, 0.5))
    mask = torch.full(shape, 3)
    mask[:, 0] = 255
    labeled = Labeled(torch.stack([torch.full((3, 6, 6), 1.0), torch.full((3, 6, 6), 2.0)]), mask)
    of_labeled, of_mixed = torch.zeros(2, *shape, dtype=torch.bool)
    of_labeled[:, :3], of_mixed[:, :, :2] = True, True  # the upper half; the left third
    drawn = Drawn(torch.tensor([1, 0]), of_labeled, of_mixed, torch.zeros(2))
    mixed = mix(shown, labeled, drawn, torch.tensor([True, False]))
    both = of_labeled[1] & of_mixed[1]
    assert not mixed.image[0].any(), "its own copy holds the box, not itself; its partner's holds none"
    assert torch.equal(mixed.image[1] == 2.0, both.expand(3, 6, 6))
    assert torch.equal(mixed.confidence[1] == 1.0, both)
    assert (mixed.pseudo[1][0, :2] == 255).all()
    assert (mixed.pseudo[1][1:3, :2] == 3).all()
    assert (mixed.pseudo[1][~both] == 0).all()


def test_the_surer_the_teacher_is_of_an_image_the_rarer_it_gets_a_labeled_box(make: Make) -> None:
    """Images whose pixels all have one distribution: uniform, certain, and two between: (1 - H / ln 4) p by hand."""
    chances = torch.tensor([[0.25, 0.25, 0.25, 0.25], [0.0, 0.0, 1.0, 0.0], [0.5, 0.0, 0.0, 0.5], [0.1, 0.7, 0.1, 0.1]])
    certain = [0.0, 1.0, 0.5 * 0.5, (1 + (0.7 * math.log(0.7) + 0.3 * math.log(0.1)) / math.log(4)) * 0.7]
    logits = chances.log()[:, :, None, None].expand(4, 4, 24, 24).clone()
    images, padding = torch.zeros(4, 3, 24, 24), torch.zeros(4, 24, 24, dtype=torch.bool)
    padding[:, :, 12:] = True
    unlabeled, labeled = Unlabeled(images, images, padding), Labeled(images, padding.long())
    found: dict[str, Any] = {}
    for kind in ("as_paper", "as_code"):
        method: Any = make("augseg", schedule={"warm_up": 0}, padding=kind)
        method.end_warm_up()
        method.forward = lambda name, images: logits
        found[kind] = method
    assert found["as_paper"].taught(unlabeled)[1].tolist() == pytest.approx(certain, abs=1e-6)
    rare = [found["as_paper"].labeled_and_mixed(labeled, unlabeled, i)[1] for i in range(400)]
    shares = torch.stack(rare).float().mean(0).tolist()
    assert shares[:2] == [1.0, 0.0]
    assert shares[2:] == pytest.approx([0.75, 1 - certain[3]], abs=0.07)

    logits[:, :, :, 12:] = 0.0  # the teacher knows nothing of what is padded
    taught, sureness = found["as_code"].taught(unlabeled)
    assert sureness.tolist() == pytest.approx([value / 2 for value in certain], abs=1e-6), "padding counts as well"
    assert taught.pseudo[1].unique().tolist() == [0, 2]
    taught, sureness = found["as_paper"].taught(unlabeled)
    assert sureness.tolist() == pytest.approx(certain, abs=1e-6)
    assert taught.pseudo[1].unique().tolist() == [2, 255]
    assert not taught.confidence[padding].any()


def test_the_loss_is_over_all_pixels_of_a_group(make: Make) -> None:
    """Padded, unsure and ignored ones too: four times as many of them, a quarter of the loss."""
    method: Any = make("augseg", {"dropout": 0.0}, {"warm_up": 0}, label_injection=False, threshold=0.0)
    values = []
    for share in (1, 4):
        labeled, unlabeled = make_batch(0)
        unlabeled.padding[:] = True
        unlabeled.padding[:, :, : 24 // share] = False
        fresh = copy.deepcopy(method)
        fresh.end_warm_up()
        shown, _ = fresh.taught(unlabeled)
        logits = torch.zeros(4, 4, 24, 24, requires_grad=True)
        fresh.student_loss = lambda images, mask, logits=logits: (logits.sum(), logits)
        _, found = fresh.loss(labeled, shown, torch.zeros(4, dtype=torch.bool))
        values.append(found["loss/unsupervised"].item())
    assert values[1] == pytest.approx(values[0] / 4)


def test_a_teacher_of_a_delayed_ema_is_the_student_until_then(make: Make, run: Any) -> None:
    """Buffers too; then the decay is at once where the ramp has come to, not at its beginning."""
    method = make("augseg", schedule={"warm_up": 1, "ema_delay": 3})
    for iteration in range(4):
        run(method, iteration, iteration + 1)
        if iteration >= 1:
            student, teacher = (method.networks()[name].state_dict() for name in ("student", "teacher"))
            moved = [key for key, value in student.items() if value.is_floating_point()]
            assert any("running_mean" in key for key in moved)
            assert all(torch.equal(student[key], teacher[key]) for key in moved), iteration
    before = [p.detach().clone() for p in method.networks()["teacher"].parameters()]
    run(method, 4, 5)
    student, teacher = method.networks()["student"].parameters(), method.networks()["teacher"].parameters()
    for old, mine, theirs in zip(before, teacher, student, strict=True):
        assert torch.allclose(mine, 0.75 * old + 0.25 * theirs, atol=1e-7)  # k = 3: 1 - 1/4
