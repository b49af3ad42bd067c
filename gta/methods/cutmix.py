"""CutMix-Seg: mean teacher whose student sees mixed images and is to predict the mixed predictions.

French et al., 2020; the numbers are those of github.com/Britefury/cutmix-semisup-seg (docs/explanation/method.md).
"""

from __future__ import annotations

from gta.methods.mean_teacher import MeanTeacher, Taught
from gta.methods.mixing import cutmix_mask, mix
from gta.methods.settings import CutMixConfig
from gta.ops.batch import Unlabeled


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
