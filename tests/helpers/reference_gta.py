"""GTA once more, from the equations: float64, one process, whole global batches, nothing of gta.ops or gta.methods.

Only the network (as a function of images) and torch's derivatives are shared with what is tested; losses, percentile,
SGD, moving averages, schedule and warm-up are written out here. Dropout must be off; CutMix boxes are handed in.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

IGNORED = 255


@dataclass
class Setting:
    """What an experiment fixes; the names of the knobs are those of the method's config."""

    iterations: int
    warm_up: int
    group_size: int
    lr: float
    decoder_lr_factor: float
    ema_decay: float
    power: float = 0.9
    momentum: float = 0.9
    weight_decay: float = 1e-4
    auxiliary_weight: float = 0.4
    drop_percent: float = 80.0
    weighting: str = "laplace"
    confidence: str = "second_pass"
    joint_batches: bool = True
    transfer: str = "feature_extractor"
    transfer_decay: float | None = None
    teacher_decay: float | None = None
    share_mask_predictor: bool = False
    unsupervised_weight: float = 1.0


class Reference:
    """Student (from a given network), then also teacher and assistant; `step` returns both losses."""

    def __init__(self, student: nn.Module, setting: Setting) -> None:
        self.setting = setting
        self.networks = {"student": copy.deepcopy(student)}
        self.velocity: dict[tuple[str, str], Tensor] = {}

    def step(
        self, image: Tensor, mask: Tensor, weak: Tensor, padding: Tensor, boxes: Tensor, iteration: int
    ) -> dict[str, float]:
        """image, weak (B, 3, h, w) float64; mask (B, h, w); padding, boxes (B, h, w) bool; boxes say what is pasted."""
        s = self.setting
        assert image.dtype == weak.dtype == torch.float64
        k = iteration - s.warm_up
        if k < 0:
            loss = self.label_loss(image, mask)
            self.descend("student", loss, iteration)
            return {"loss/supervised": loss.item()}
        if k == 0 and "teacher" not in self.networks:
            self.networks["teacher"] = copy.deepcopy(self.networks["student"])
            self.networks["assistant"] = copy.deepcopy(self.networks["student"])
            self.networks["assistant"].auxiliary = None
        student, teacher, assistant = (self.networks[n] for n in ("student", "teacher", "assistant"))

        # p_T(y | u): hard labels and their probability
        with torch.no_grad():
            chances = probabilities(teacher.eval()(weak))
        labels, sure = chances.argmax(1), chances.amax(1)
        labels[padding], sure[padding] = IGNORED, 0.0

        # u' = box * next image of the group + (1 - box) * u; the same for labels
        mixed, mixed_labels, mixed_sure = weak.clone(), labels.clone(), sure.clone()
        for i in range(len(weak)):
            start = i // s.group_size * s.group_size
            partner = start + (i + 1 - start) % s.group_size
            box = boxes[i]
            mixed[i][:, box] = weak[partner][:, box]
            mixed_labels[i][box] = labels[partner][box]
            mixed_sure[i][box] = sure[partner][box]

        count = len(weak)
        seen = torch.cat([image, mixed]) if s.joint_batches else mixed
        guesses = assistant.train()(seen)[-count:]
        if s.confidence == "second_pass":
            with torch.no_grad():
                mixed_sure = probabilities(teacher.train()(seen)[-count:]).amax(1)

        # theta_A <- theta_A - eta dL_u / dtheta_A
        unlabeled_loss = self.pseudo_label_loss(guesses, mixed_labels, mixed_sure)
        self.descend("assistant", s.unsupervised_weight * unlabeled_loss, iteration)
        if s.share_mask_predictor:
            copy_mask_predictor(assistant, student)

        # f_S <- alpha f_S + (1 - alpha) f_A, the feature extractor alone
        prefixes = {
            "none": (),
            "encoder": ("feature_extractor.encoder.",),
            "feature_extractor": ("feature_extractor.",),
            "all": ("feature_extractor.", "mask_predictor."),
        }[s.transfer]
        self.average("student", "assistant", k, s.transfer_decay, prefixes)

        # theta_S <- theta_S - eta dL_s / dtheta_S
        label_loss = self.label_loss(torch.cat([image, mixed]) if s.joint_batches else image, mask)
        self.descend("student", label_loss, iteration)
        if s.share_mask_predictor:
            copy_mask_predictor(student, assistant)

        # theta_T <- beta theta_T + (1 - beta) theta_S, everything
        self.average("teacher", "student", k, s.teacher_decay, ("",), buffers=s.confidence != "second_pass")
        return {"loss/supervised": label_loss.item(), "loss/unsupervised": unlabeled_loss.item()}

    def label_loss(self, images: Tensor, mask: Tensor) -> Tensor:
        """L_s: mean over groups of the mean CE over labeled pixels; the auxiliary head likewise, if there is one."""
        outputs = self.networks["student"].train()(images, auxiliary=True)
        total = torch.zeros((), dtype=torch.float64)
        for weight, logits in zip((1.0, self.setting.auxiliary_weight), outputs, strict=True):
            if logits is None:
                continue
            means = []
            for group in self.groups(len(mask)):
                losses = cross_entropies(logits[group], mask[group])
                means.append(sum(losses) / max(len(losses), 1))
            total = total + weight * sum(means) / len(means)
        return total

    def pseudo_label_loss(self, logits: Tensor, labels: Tensor, confidence: Tensor) -> Tensor:
        """L_u: sum over kept of w CE / sum over all of w, w of a dropped pixel being that of confidence 0."""
        means = []
        for group in self.groups(len(labels)):
            valid = labels[group] != IGNORED
            c = confidence[group][valid]
            losses = cross_entropies(logits[group], labels[group])
            ordered = sorted(c.tolist())
            place = (len(ordered) - 1) * (100.0 - self.setting.drop_percent) / 100.0
            low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
            bound = low + (high - low) * (place - math.floor(place))
            above, below = torch.zeros((), dtype=torch.float64), 0.0
            for value, loss in zip(c.tolist(), losses, strict=True):
                kept = value > bound
                value = value if kept else 0.0
                weight = {"laplace": 1.0 + value, "confidence": value, "none": 1.0}[self.setting.weighting]
                above = above + weight * loss if kept else above
                below += weight
            means.append(above / below)
        return sum(means) / len(means)

    def groups(self, images: int) -> list[slice]:
        size = self.setting.group_size
        return [slice(start, start + size) for start in range(0, images, size)]

    def descend(self, name: str, loss: Tensor, iteration: int) -> None:
        """SGD with momentum and weight decay: v <- mu v + (g + lambda w), w <- w - eta v."""
        s = self.setting
        named = dict(self.networks[name].named_parameters())
        gradients = torch.autograd.grad(loss, list(named.values()))
        rate = s.lr * (1.0 - iteration / s.iterations) ** s.power
        with torch.no_grad():
            for (key, weight), gradient in zip(named.items(), gradients, strict=True):
                push = gradient + s.weight_decay * weight
                before = self.velocity.get((name, key))
                push = push if before is None else s.momentum * before + push
                self.velocity[name, key] = push
                weight -= (rate if ".encoder." in key else rate * s.decoder_lr_factor) * push

    @torch.no_grad()
    def average(
        self, target: str, source: str, k: int, cap: float | None, prefixes: tuple[str, ...], buffers: bool = False
    ) -> None:
        """target <- m target + (1 - m) source with m = min(1 - 1/(k + 1), cap), where a name begins with a prefix."""
        m = min(1.0 - 1.0 / (k + 1), self.setting.ema_decay if cap is None else cap)
        for kind in ("parameters", "buffers")[: 1 + buffers]:
            theirs = dict(getattr(self.networks[source], f"named_{kind}")())
            for key, value in getattr(self.networks[target], f"named_{kind}")():
                if key.startswith(prefixes) and value.is_floating_point():
                    value.copy_(m * value + (1.0 - m) * theirs[key])


def probabilities(logits: Tensor) -> Tensor:
    shifted = (logits - logits.amax(1, keepdim=True)).exp()
    return shifted / shifted.sum(1, keepdim=True)


def cross_entropies(logits: Tensor, labels: Tensor) -> list[Tensor]:
    """log sum exp z - z_y of every pixel that is not ignored, image by image, row by row."""
    z = logits.movedim(1, -1)[labels != IGNORED]
    y = labels[labels != IGNORED]
    top = z.detach().amax(1)
    losses = top + (z - top[:, None]).exp().sum(1).log() - z[torch.arange(len(y)), y]
    return list(losses.unbind())


@torch.no_grad()
def copy_mask_predictor(source: nn.Module, target: nn.Module) -> None:
    theirs = dict(source.named_parameters())
    for key, value in target.named_parameters():
        if key.startswith("mask_predictor."):
            value.copy_(theirs[key])
