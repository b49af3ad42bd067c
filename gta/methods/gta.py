"""GTA: a gentle teaching assistant learns the pseudo-labels, and hands on its feature extractor only.

Jin, Wang and Lin, "Semi-Supervised Semantic Segmentation via Gentle Teaching Assistant", NeurIPS 2022.
Pseudo-labels teach features better than masks, so their gradient never reaches the student's mask predictor. The steps
are those of the authors' code, on its per-GPU batch (our group); where that code departs from the paper (networks that
share the mask predictor, a learning rate that never decays), this follows the paper. The equations, the
departures, and what each setting costs: docs/explanation/method.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import cast

import torch
from torch import Tensor, nn

from gta.methods.settings import GTAConfig
from gta.methods.student_teacher import StudentTeacher
from gta.models import SegmentationModel
from gta.ops.batch import Labeled, Part, PseudoLabeled
from gta.ops.distributed import unwrap
from gta.ops.losses import weighted_cross_entropy
from gta.ops.optim import ema_update, ramped_decay

# What the student takes over of the assistant; never the auxiliary head, which the assistant does not have.
TRANSFERS: dict[str, Callable[[SegmentationModel], Iterable[nn.Parameter]]] = {
    "none": lambda model: [],
    "encoder": lambda model: model.encoder.parameters(),
    "feature_extractor": lambda model: model.feature_extractor_parameters(),
    "all": lambda model: [*model.feature_extractor_parameters(), *model.mask_predictor.parameters()],
}


class GTA(StudentTeacher):
    """Student, teacher (EMA of the student), and assistant; the teacher is scored."""

    Config = GTAConfig
    reports = ("loss/supervised", "loss/unsupervised", "pseudo/kept", "pseudo/confidence")

    def start(self) -> None:
        assistant = self.copy_of_student()
        # Nothing would train its auxiliary head, which DDP refuses; and that head is never transferred.
        assistant.auxiliary = None
        if self.config.share_mask_predictor:
            student = cast(SegmentationModel, unwrap(self.models["student"]))
            for mine, theirs in zip(
                assistant.mask_predictor.parameters(), student.mask_predictor.parameters(), strict=True
            ):
                mine.data = theirs.data  # one storage; gradients, optimizers and statistics stay apart
        self.add("assistant", assistant, trained=True)

    def semi_supervised_step(self, parts: list[Part], iteration: int) -> dict[str, Tensor]:
        # 1. and 2. The teacher labels the weak view; CutMix within each group (as in student_teacher.py).
        mixed = [(labeled, self.labeled_and_mixed(unlabeled, iteration)) for labeled, unlabeled in parts]

        # 3. to 6. The assistant's step, on the pseudo-labels.
        unlabeled_values = self.update("assistant", self.assistant_loss, mixed)

        # 7. The student takes over the assistant's feature extractor, never its mask predictor.
        self.transfer(iteration)

        # 8. The student's step, on the labels.
        labeled_values = self.update("student", self.joint_supervised_loss, mixed)

        # 9. The teacher follows the student (its statistics too, where 4. does not move them).
        self.update_teacher(iteration, self.config.teacher_decay, self.config.confidence != "second_pass")
        return labeled_values | unlabeled_values

    def assistant_loss(self, labeled: Labeled, mixed: PseudoLabeled) -> tuple[Tensor, dict[str, Tensor]]:
        """Steps 3 to 5 of a part of the batch."""
        batch, confidence = len(mixed.image), mixed.confidence
        images = torch.cat([labeled.image, mixed.image]) if self.config.joint_batches else mixed.image

        # 3. The assistant sees labeled and mixed images as one batch; its loss is on the latter.
        logits = self.forward("assistant", images)[-batch:]

        # 4. The teacher's confidence on the same batch, with BatchNorm in training mode. Nothing else moves
        #    the statistics that it labels with.
        if self.config.confidence == "second_pass":
            self.models["teacher"].train()
            confidence = self.confidence("teacher", images)[0][-batch:]

        # 5. The unlabeled loss, weighted by confidence.
        loss, kept = weighted_cross_entropy(
            logits, mixed.pseudo, confidence, self.schedule.group_size, self.config.drop_percent, self.config.weighting
        )
        values = {"loss/unsupervised": loss, "pseudo/kept": kept, "pseudo/confidence": confidence.mean()}
        return self.config.unsupervised_weight * loss, values

    def joint_supervised_loss(self, labeled: Labeled, mixed: PseudoLabeled) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of step 8 of a part of the batch: on the labels, beside the mixed images."""
        images = torch.cat([labeled.image, mixed.image]) if self.config.joint_batches else labeled.image
        loss, _ = self.student_loss(images, labeled.mask)
        return loss, {"loss/supervised": loss}

    def transfer(self, iteration: int) -> None:
        """Student's feature extractor (or what `transfer` says) <- EMA towards the assistant's; parameters only."""
        part = TRANSFERS[self.config.transfer]
        cap = self.schedule.ema_decay if self.config.transfer_decay is None else self.config.transfer_decay
        decay = ramped_decay(iteration - self.schedule.warm_up, cap)
        student, assistant = (cast(SegmentationModel, unwrap(self.models[n])) for n in ("student", "assistant"))
        ema_update(part(student), part(assistant), decay)
