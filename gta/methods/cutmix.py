"""CutMix-Seg: mean teacher whose student sees mixed images and is to predict the mixed predictions.

French et al., 2020; the numbers are those of github.com/Britefury/cutmix-semisup-seg (docs/explanation/method.md).
"""

from __future__ import annotations

from dataclasses import dataclass

from gta.config import MethodConfig
from gta.fields import result
from gta.methods.mean_teacher import CONSISTENCIES, LOSSES, MeanTeacher, Taught
from gta.methods.mixing import BOXES, cutmix_mask, mix
from gta.ops.batch import Unlabeled


@dataclass(frozen=True, kw_only=True)
class CutMixConfig(MethodConfig):
    name: str = result("cutmix", "Key of the method in gta.methods.METHODS.")
    consistency: str = result("sum_square", LOSSES, choices=CONSISTENCIES)
    unsupervised_weight: float = result(1.0, "Weight of the unsupervised loss.")
    threshold: float = result(
        0.97,
        "cross_entropy leaves pixels of less confidence out; the others weigh all by the share that has as much.",
        within=(0, 1),
    )
    cutmix_boxes: str = result("cutmix_seg", "Whose CutMix: size of the boxes, and a coin an image or a group.",
                               choices=BOXES)  # fmt: skip
    cutmix_probability: float = result(1.0, "Probability that an image (or group) is mixed.", within=(0, 1))
    on_labeled: bool = result(False, "The squares are on labeled images too (which have one view).")
    training_labels: bool = result(
        True, "The teacher predicts in training mode (BatchNorm, dropout); else in evaluation mode."
    )
    joint_batches: bool = result(
        False, "Labeled and unlabeled images pass the student as one batch (BatchNorm); else each by themselves."
    )
    strong: bool = result(False, "The student sees the strong view of unlabeled images; else the weak one.")


class CutMix(MeanTeacher):
    """`MeanTeacher` with another perturbation and other numbers."""

    Config = CutMixConfig
    averaged_statistics = True

    def perturb(self, taught: Taught, unlabeled: Unlabeled, iteration: int) -> Taught:
        size, config = self.schedule.group_size, self.config
        inside = cutmix_mask(
            unlabeled, size, config.cutmix_probability, self.seed, iteration, boxes=config.cutmix_boxes
        )
        image, chances, padding = (
            mix(values, inside, size) for values in (taught.image, taught.chances, taught.padding)
        )
        return Taught(image, chances, padding, taught.on_labeled)
