"""Mean teacher with CutMix: the student sees mixed images and mixed pseudo-labels (French et al., 2020)."""

from __future__ import annotations

from dataclasses import dataclass

from gta.fields import result
from gta.methods.mean_teacher import MeanTeacher, MeanTeacherConfig
from gta.methods.mixing import cutmix_mask, mix_all
from gta.ops.batch import PseudoLabeled, Unlabeled


@dataclass(frozen=True, kw_only=True)
class CutMixConfig(MeanTeacherConfig):
    name: str = result("cutmix", "Key of the method in gta.methods.METHODS.")
    strong: bool = result(False, "The student sees the strong view of unlabeled images; else the weak one.")
    cutmix_probability: float = result(0.5, "Probability that a group is mixed.", within=(0, 1))


class CutMix(MeanTeacher):
    """`MeanTeacher` with another perturbation."""

    Config = CutMixConfig

    def perturb(self, unlabeled: Unlabeled, iteration: int) -> PseudoLabeled:
        shown, size = super().perturb(unlabeled, iteration), self.schedule.group_size
        inside = cutmix_mask(unlabeled, size, self.config.cutmix_probability, self.seed, iteration)
        return mix_all(shown, inside, size)
