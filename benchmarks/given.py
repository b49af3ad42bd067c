"""What our step and the plain one of a method are both given: networks, settings, images, and the same chances."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.plain import PLAIN, Batch, Drawn, Mixing, Start, Step
from gta import seeds
from gta.config import ModelConfig, ScheduleConfig
from gta.methods import METHODS, Method, augseg
from gta.methods.mixing import cutmix_mask
from gta.models import SegmentationModel, build_model
from gta.ops.batch import Labeled, Unlabeled

ITERATIONS = 4000
SEED = 0
MIXED_VIEWS = {"unimatch": 2, "unimatch_v2": 2}  # each with boxes of its own; one in all other methods that mix


def plain_step(name: str, options: dict[str, Any]) -> Step:
    device = options["device"]

    def network(number: int) -> SegmentationModel:
        return initial(options, number).to(device)

    def head(model: SegmentationModel) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seeds.weights(SEED, 1))
            return model.representation_head().to(device)

    start = Start(network, head, schedule(name, options), options["threshold"], memory(options))
    return PLAIN[name](start)


def our_step(name: str, options: dict[str, Any], form: str, precision: str = "fp32", compiled: bool = False) -> Method:
    """Ours, with networks in a memory format, and settings in which the plain step is written."""
    made = 0

    def network() -> SegmentationModel:
        nonlocal made
        model = initial(options, made, form)
        model.compiled, made = compiled, made + 1
        return model

    kind = METHODS[name]
    settings = dict(settings_of(options).get(name, {}))
    device = torch.device(options["device"])
    return kind(kind.Config(**settings), network, schedule(name, options), SEED, device, precision)


def settings_of(options: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """By method, what is not at its default: every batch is mixed, and a threshold that some pixels reach."""
    mixed, sure = {"cutmix_probability": 1.0}, {"threshold": options["threshold"]}
    first, others = memory(options)
    contrast = {"anchor_threshold": options["threshold"], "memory_size_first": first, "memory_size": others}
    return {
        "gta": mixed, "student_teacher": mixed, "u2pl": {**mixed, **contrast}, "cutmix": sure, "fixmatch": sure,
        "unimatch": sure, "unimatch_v2": sure, "augseg": sure,
    }  # fmt: skip


def memory(options: dict[str, Any]) -> tuple[int, int]:
    """Vectors of class 0 and of any other: U2PL's, or so few of the tiny network that they are forgotten again."""
    return (500, 300) if options["encoder"] == "tiny" else (50_000, 30_000)


def schedule(name: str, options: dict[str, Any]) -> ScheduleConfig:
    """SGD as on VOC, AdamW as UniMatch V2's; one group."""
    size: dict[str, Any] = {"batch_size": options["batch"], "group_size": options["batch"]}
    rates: dict[str, Any] = {"lr": 0.001, "decoder_lr_factor": 10.0}
    if name == "unimatch_v2":
        rates = {"lr": 5e-6, "decoder_lr_factor": 40.0, "optimizer": "adamw", "weight_decay": 0.01}
    return ScheduleConfig(iterations=ITERATIONS, eval_every=ITERATIONS, **size, **rates)


def initial(options: dict[str, Any], number: int = 0, form: str = "contiguous") -> SegmentationModel:
    """A new network with the initial weights of a method's first (0) or second (1) one; they are made once a form."""
    tiny: dict[str, Any] = {"width": 8, "decoder_channels": 16, "aspp_rates": [1, 2, 3]}
    wide: dict[str, Any] = {"aspp_rates": [12, 24, 36]}
    size = tiny if options["encoder"] == "tiny" else wide
    model = ModelConfig(encoder=options["encoder"], output_stride=8, dropout=0.0, memory_format=form, **size)
    key = (repr(model), options["classes"], options.get("surer"), number, torch.get_default_dtype())
    if key not in _made:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seeds.weights(SEED, number))
            made = build_model(model, options["classes"])
        if "surer" in options:  # the factor by which logits are larger
            for values in made.mask_predictor[-1].parameters():
                values.data *= options["surer"]
        _made[key] = made
    return copy.deepcopy(_made[key])


_made: dict[tuple[Any, ...], SegmentationModel] = {}


def batch_of(options: dict[str, Any], number: int) -> Batch:
    """Noise. An eighth of the first unlabeled image is padding, and of the first mask ignored."""
    generator = torch.Generator().manual_seed(number)
    size, side, device = options["batch"], options["crop"], options["device"]
    images = torch.randn(4, size, 3, side, side, generator=generator)
    mask = torch.randint(options["classes"], (size, side, side), generator=generator)
    padding = torch.zeros(size, side, side, dtype=torch.bool)
    mask[0, :, : side // 8], padding[0, -(side // 8) :] = 255, True
    image, weak, strong, strong2 = images.to(device)
    return Batch(image, mask.to(device), weak, strong, strong2, padding.to(device))


def as_ours(batch: Batch) -> tuple[Labeled, Unlabeled]:
    return Labeled(batch.image, batch.mask), Unlabeled(batch.weak, batch.strong, batch.padding, 0, batch.strong2)


def drawn_of(name: str, options: dict[str, Any], batch: Batch, iteration: int) -> Drawn:
    """The chances that our step of that number takes, in its own order, for the plain one."""
    config: Any = METHODS.config(name)(**settings_of(options).get(name, {}))
    _, unlabeled = as_ours(batch)
    size, device = options["batch"], options["device"]
    drawn = Drawn()
    if hasattr(config, "cutmix_probability"):
        boxes = getattr(config, "cutmix_boxes", "gta")
        drawn.boxes = [
            cutmix_mask(unlabeled, size, config.cutmix_probability, SEED, iteration, view, boxes)
            for view in range(MIXED_VIEWS.get(name, 1))
        ]
    if name == "augseg":
        taken = augseg.draw(unlabeled, size, SEED, iteration)
        drawn.augseg = Mixing(taken.partner, taken.of_labeled, taken.of_mixed, taken.coins)
    if name == "u2pl":
        drawn.numbers = partial(seeds.contrast, SEED, iteration, 0)
    if name in ("unimatch", "unimatch_v2"):
        generator = seeds.dropout(SEED, "student", iteration, 0)

        def uniform(*shape: int) -> Tensor:
            return torch.from_numpy(generator.random(shape, dtype="float32")).to(device)

        low, middle, top = initial(options).encoder.channels  # type: ignore[misc]
        if name == "unimatch":
            drawn.kept = [uniform(2, size, planes).flatten(0, 1) >= 0.5 for planes in (low, top)]
        else:
            drawn.whole = uniform(size, 1)[:, 0].argsort().argsort() < size // 2
            coins = {planes: uniform(size, planes) < 0.5 for planes in dict.fromkeys((low, middle, top))}
            drawn.kept = [coins[low], coins[top]]
    return drawn
