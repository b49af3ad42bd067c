"""GTA's step as plainly as its public code makes it, from its description: what ours is timed against.

One process, one group, eager NCHW, SGD and moving averages tensor by tensor, the percentile on the host by numpy, and
the head of representations that the public code trains with a loss of zero. The maths are those of `gta.methods.gta`
without CutMix and dropout.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gta.config import ScheduleConfig
from gta.models import SegmentationModel
from gta.models.deeplab import norm_relu
from gta.models.segmentation import upsample

KEPT_PERCENT = 80


class PlainNetwork(nn.Module):
    """A segmentation network with the unused head: images (B, 3, h, w) -> logits (B, C, h, w), representations."""

    def __init__(self, model: SegmentationModel) -> None:
        super().__init__()
        self.model = model
        last = model.mask_predictor[-1]
        assert isinstance(last, nn.Conv2d)
        planes = last.in_channels
        self.representation = nn.Sequential(
            nn.Conv2d(2 * planes, planes, 3, padding=1),
            *norm_relu(planes),
            nn.Conv2d(planes, planes, 3, padding=1),
            *norm_relu(planes),
            nn.Conv2d(planes, planes, 1),
        )

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        fused, _ = self.model.feature_extractor(images)
        return upsample(self.model.mask_predictor(fused), (images.shape[2], images.shape[3])), self.representation(
            fused
        )


class PlainGTA:
    """Student, assistant and teacher after the warm-up; all three begin as copies of one network."""

    def __init__(
        self, networks: tuple[SegmentationModel, SegmentationModel, SegmentationModel], s: ScheduleConfig
    ) -> None:
        self.schedule = s
        with torch.random.fork_rng(devices=[]):
            self.student, self.assistant, self.teacher = (PlainNetwork(network) for network in networks)
        for other in (self.assistant, self.teacher):
            other.load_state_dict(self.student.state_dict())
        self.teacher.requires_grad_(False)
        self.optimizers = {id(network): self._sgd(network) for network in (self.student, self.assistant)}

    def _sgd(self, network: PlainNetwork) -> torch.optim.SGD:
        encoder = list(network.model.encoder.parameters())
        inside = {id(parameter) for parameter in encoder}
        decoder = [parameter for parameter in network.parameters() if id(parameter) not in inside]
        s = self.schedule
        groups = [{"params": encoder, "lr": s.lr}, {"params": decoder, "lr": s.lr * s.decoder_lr_factor}]
        return torch.optim.SGD(groups, lr=s.lr, momentum=s.momentum, weight_decay=s.weight_decay, foreach=False)

    def step(self, image: Tensor, mask: Tensor, weak: Tensor, iteration: int) -> dict[str, float]:
        """One step on labeled `image` (B, 3, h, w) with `mask` (B, h, w), and unlabeled `weak` (B, 3, h, w)."""
        s = self.schedule
        factor = (1 - iteration / s.iterations) ** s.power
        for optimizer in self.optimizers.values():
            for group, lr in zip(optimizer.param_groups, (s.lr, s.lr * s.decoder_lr_factor), strict=True):
                group["lr"] = lr * factor
        with torch.no_grad():
            _, pseudo = self.teacher.eval()(weak)[0].softmax(1).max(1)
        joint = torch.cat([image, weak])
        labeled = len(image)

        logits, unused = self.assistant.train()(joint)
        with torch.no_grad():
            confidence = self.teacher.train()(joint)[0].softmax(1).max(1).values[labeled:]
        unsupervised = weighted(logits[labeled:], pseudo, confidence)
        self._descend(self.assistant, unsupervised + 0 * unused.sum())

        decay = min(1 - 1 / (iteration + 1), s.ema_decay)
        average(
            self.student.model.feature_extractor.parameters(),
            self.assistant.model.feature_extractor.parameters(),
            decay,
        )
        logits, unused = self.student.train()(joint)
        supervised = F.cross_entropy(logits[:labeled], mask, ignore_index=255)
        self._descend(self.student, supervised + 0 * unused.sum())
        average(self.teacher.parameters(), self.student.parameters(), decay)
        return {"loss/supervised": supervised.item(), "loss/unsupervised": unsupervised.item()}

    def _descend(self, network: PlainNetwork, loss: Tensor) -> None:
        optimizer = self.optimizers[id(network)]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def weighted(logits: Tensor, pseudo: Tensor, confidence: Tensor) -> Tensor:
    """The unlabeled loss: the most confident pixels, weighted by 1 + confidence, over the weights of all pixels."""
    bound = np.percentile(confidence.cpu().numpy().flatten(), 100 - KEPT_PERCENT)
    kept = confidence > bound
    weight = 1 + torch.where(kept, confidence, torch.zeros_like(confidence))
    loss = F.cross_entropy(logits, pseudo, reduction="none")
    return (weight * loss)[kept].sum() / weight.sum()


@torch.no_grad()
def average(target: Iterable[Tensor], source: Iterable[Tensor], decay: float) -> None:
    for mine, theirs in zip(target, source, strict=True):
        mine.copy_(decay * mine + (1 - decay) * theirs)
