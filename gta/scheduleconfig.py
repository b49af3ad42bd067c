"""The settings of training: length, batch, optimizer and its learning rate, EMA, what is evaluated and saved when."""

from __future__ import annotations

from dataclasses import dataclass

from gta.fields import neutral, result
from gta.ranges import COUNTS, MISSING, STEPS, WEIGHTS, Span

SGD, ADAMW = OPTIMIZERS = ("sgd", "adamw")
POLY, COSINE, CONSTANT = LR_SCHEDULES = ("poly", "cosine", "constant")
MOMENTUM = 0.9  # of SGD, if nothing else is said
POWER = 0.9  # of poly
DECAY = 1e-4  # weight decay, if nothing else is said


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    iterations: int = result(MISSING, "Optimizer steps in all; 0: as many as `epochs` are.", within=COUNTS)
    warm_up: int = result(
        0,
        "Steps of supervised training before the teacher (and the assistant) start as copies of the student.",
        within=COUNTS,
    )
    epochs: int = result(
        0,
        "Length in epochs, each the unlabeled list once; 0: `iterations` says it. A frozen cell holds iterations.",
        within=COUNTS,
    )
    warm_up_epochs: int = result(0, "Warm-up in epochs; 0: `warm_up` says it.", within=COUNTS)
    batch_size: int = result(
        MISSING, "GLOBAL number of labeled images a step, and of unlabeled images as well.", within=(1, 65_536)
    )
    group_size: int = result(
        MISSING,
        "Images of a group: CutMix partners, percentiles and loss denominators stay inside it.",
        within=(1, 65_536),
    )
    accumulate: int = result(
        1,
        "Gradient accumulation: parts (of whole groups) that a batch is cut into, so that the memory of one is enough; "
        "one optimizer step and EMA update for all. 1: none. BatchNorm normalises each part by itself, and its running "
        "statistics move once a part: with BatchNorm this is another result, without it the same.",
        within=(1, 65_536),
    )
    lr: float = result(MISSING, "Learning rate of the encoder at iteration 0.", within=Span(0, 1000, above=True))
    lr_batch_size: int = result(
        0,
        "The global batch that lr is meant for, as who found it says; another batch_size is refused unless scale_lr "
        "says what becomes of lr. 0: any.",
        within=(0, 65_536),
    )
    scale_lr: bool = result(
        False, "lr is multiplied by batch_size / lr_batch_size. A frozen cell holds the product.", later=True
    )
    decoder_lr_factor: float = result(
        1.0, "Learning rate of everything but the encoder, as a multiple of lr.", within=WEIGHTS
    )
    optimizer: str = result(
        SGD,
        "sgd, or adamw (betas 0.9 and 0.999, eps 1e-8), which decays every weight by lr x weight_decay a step.",
        choices=OPTIMIZERS,
        later=True,
    )
    momentum: float = result(MOMENTUM, "SGD momentum.", within=Span(0, 1, below=True))
    weight_decay: float = result(DECAY, "Weight decay, of all parameters.", within=(0, 1))
    lr_schedule: str = result(
        POLY,
        "How lr falls: poly, lr (1 - i / iterations) ** power; cosine, lr (1 + cos(pi i / iterations)) / 2; constant.",
        choices=LR_SCHEDULES,
        later=True,
    )
    power: float = result(POWER, "Exponent of the poly schedule, on every optimizer.", within=(0, 100))
    lr_warm_up: int = result(
        0,
        "Steps i over which lr rises, by the factor (i + 1) / lr_warm_up; no more than the iterations. 0: none.",
        within=COUNTS,
        later=True,
    )
    ema_decay: float = result(
        0.999,
        "Cap of the teacher's EMA decay; the decay is min(1 - 1/(k + 1), cap) at step k after the warm-up.",
        within=(0, 1),
    )
    ema_delay: int = result(
        0,
        "Steps after the warm-up through which a teacher is a copy of the student (the decay of its EMA is 0); then it "
        "is that of the k that it has come to.",
        within=COUNTS,
        later=True,
    )
    ema_delay_epochs: int = result(0, "The same in epochs; 0: `ema_delay` says it.", within=COUNTS, later=True)
    auxiliary_weight: float = result(
        0.4, "Weight of the auxiliary head's loss, where the model has one.", within=WEIGHTS
    )
    ohem_threshold: float = result(
        0.0,
        "Supervised losses keep labeled pixels whose class is no more probable than this (OHEM); 0: all of them.",
        within=(0, 1),
    )
    ohem_min_kept: int = result(
        100_000, "OHEM keeps at least so many labeled pixels of a group, the least probable.", within=COUNTS
    )
    eval_every: int = result(
        MISSING, "Iterations between evaluations (the best score is picked among them).", within=STEPS
    )
    eval_images: int = result(0, "Score only the first so many validation images; 0: all of them.", within=COUNTS)
    checkpoint_every: int = neutral(
        200, "Iterations between checkpoints; a killed cell loses at most these.", within=STEPS
    )
    log_every: int = neutral(20, "Iterations between journal lines.", within=STEPS)
