"""GTA: a gentle teaching assistant learns the pseudo-labels, and hands on its feature extractor only.

Jin, Wang and Lin, "Semi-Supervised Semantic Segmentation via Gentle Teaching Assistant", NeurIPS 2022.
Pseudo-labels teach features better than masks, so their gradient never reaches the student's mask predictor. The steps
are those of the authors' code, on its per-GPU batch (our group); where that code departs from the paper (networks that
share the mask predictor, a learning rate that never decays), this follows the paper.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from gta.batch import Labeled, Unlabeled
from gta.config import MethodConfig
from gta.distributed import unwrap
from gta.ema import ema_update, ramped_decay
from gta.errors import UserError
from gta.fields import result
from gta.losses import WEIGHTINGS, weighted_cross_entropy
from gta.methods.base import Method, check_range
from gta.methods.mixing import cutmix_mask, mix
from gta.models import SegmentationModel


@dataclass
class GTAConfig(MethodConfig):
    name: str = result("gta", "Key of the method in gta.methods.METHODS.")
    drop_percent: float = result(
        80.0, "Percentage of the pixels, the most confident ones, that the unlabeled loss keeps."
    )
    weighting: str = result("laplace", "Weight of a pixel of confidence c: laplace (1 + c), confidence (c), none (1).")
    transfer_decay: float | None = result(
        None, "Cap of the decay by which the student follows the assistant; null: schedule.ema_decay."
    )
    cutmix_probability: float = result(0.5, "Probability that a group is mixed.")
    unsupervised_weight: float = result(1.0, "Weight of the assistant's loss.")
    strong: bool = result(False, "Assistant and student see the strong view of unlabeled images; else the weak one.")

    def __post_init__(self) -> None:
        check_range("drop_percent", self.drop_percent, 0, 100)
        check_range("cutmix_probability", self.cutmix_probability, 0, 1)
        if self.weighting not in WEIGHTINGS:
            raise UserError(f"method.weighting is '{self.weighting}'; use {', '.join(WEIGHTINGS)}.")


class GTA(Method):
    """Student, teacher (EMA of the student), and assistant; the teacher is scored."""

    Config = GTAConfig
    uses_unlabeled = True
    headline = "teacher"

    def start(self) -> None:
        super().start()
        assistant = self.copy_of_student()
        # Nothing would train its auxiliary head, which DDP refuses; and that head is never transferred.
        assistant.auxiliary = None
        self.add("assistant", assistant, trained=True)

    def semi_supervised_step(self, labeled: Labeled, unlabeled: Unlabeled, iteration: int) -> dict[str, Tensor]:
        size, batch = self.schedule.group_size, len(labeled.mask)

        # 1. The teacher labels the weak view; padding is no label.
        pseudo, _ = self.pseudo_labels(unlabeled)

        # 2. CutMix within each group, of images and pseudo-labels. (The confidence comes from the mixed
        #    images, in 4.)
        inside = cutmix_mask(unlabeled, size, self.config.cutmix_probability, self.seed, iteration)
        images, pseudo = mix(self.view(unlabeled), inside, size), mix(pseudo, inside, size)
        joint = torch.cat([labeled.image, images])

        # 3. The assistant sees labeled and mixed images as one batch; its loss is on the latter.
        self.models["assistant"].train()
        logits = self.forward("assistant", joint)[batch:]

        # 4. The teacher's confidence on the same batch, with BatchNorm in training mode. Nothing else moves
        #    the statistics that it labels with.
        self.models["teacher"].train()
        confidence = self.confidence("teacher", joint)[0][batch:]

        # 5. and 6. Unlabeled loss, weighted by confidence; the assistant's step.
        unsupervised, kept = weighted_cross_entropy(
            logits, pseudo, confidence, size, self.config.drop_percent, self.config.weighting
        )
        self.update("assistant", self.config.unsupervised_weight * unsupervised)

        # 7. The student takes over the assistant's feature extractor, never its mask predictor.
        self.transfer(iteration)

        # 8. The student's step, on the labels.
        self.models["student"].train()
        supervised, _ = self.student_loss(joint, labeled.mask)
        self.update("student", supervised)

        # 9. The teacher follows the student.
        self.update_teacher(iteration)
        return {
            "loss/supervised": supervised.detach(),
            "loss/unsupervised": unsupervised.detach(),
            "pseudo/kept": kept,
            "pseudo/confidence": confidence.mean(),
        }

    def transfer(self, iteration: int) -> None:
        """Student's feature extractor <- EMA towards the assistant's; parameters only."""
        cap = self.schedule.ema_decay if self.config.transfer_decay is None else self.config.transfer_decay
        decay = ramped_decay(iteration - self.schedule.warm_up, cap)
        student, assistant = (cast(SegmentationModel, unwrap(self.models[n])) for n in ("student", "assistant"))
        ema_update(student.feature_extractor_parameters(), assistant.feature_extractor_parameters(), decay)
