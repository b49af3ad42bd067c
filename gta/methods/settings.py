"""The settings of each method, without torch: what plan, status and table need to know of it.

Each is the `Config` of the class in the file of its name, which reads `uses_unlabeled` and `maths` from here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from gta.config import DataConfig, MethodConfig, ScheduleConfig
from gta.fields import result
from gta.ranges import COUNTS, NAME, STEPS, WEIGHTS, Span

BOXES = ("gta", "unimatch", "cutmix_seg", "cps")  # gta.methods.mixing has them
WEIGHTINGS = ("laplace", "confidence", "none")  # gta.ops.losses has them
CONFIDENCES = ("second_pass", "pseudo_label")
TRANSFERS = ("none", "encoder", "feature_extractor", "all")  # gta.methods.gta has them
AS_PAPER, AS_CODE = READINGS = ("as_paper", "as_code")  # where paper and public code differ
CONSISTENCIES = ("mean_square", "sum_square", "cross_entropy")
# what a field means, where several methods have it with other defaults
WHOSE = "Whose CutMix: size of the boxes, and a coin an image or a group."
SURE = "cross_entropy leaves pixels of less confidence out; the others weigh all by the share that has as much."
ON_LABELED = "The squares are on labeled images too (which have one view)."
TOGETHER = "Labeled and unlabeled images pass the student as one batch (BatchNorm); else each by themselves."
STRONG = "The student sees the strong view of unlabeled images; else the weak one."
LOSSES = (
    "mean_square or sum_square (over classes) of the two probabilities' difference, or cross_entropy to hard labels."
)


@dataclass(frozen=True, kw_only=True)
class SupervisedConfig(MethodConfig):
    title: ClassVar[str] = "Supervised"
    name: str = result("supervised", "Key of the method in gta.methods.METHODS.", text=NAME)


@dataclass(frozen=True, kw_only=True)
class FullySupervisedConfig(MethodConfig):
    title: ClassVar[str] = "Fully supervised"
    name: str = result("fully_supervised", "Key of the method in gta.methods.METHODS.", text=NAME)


@dataclass(frozen=True, kw_only=True)
class MeanTeacherConfig(MethodConfig):
    title: ClassVar[str] = "Mean Teacher"
    uses_unlabeled: ClassVar[bool] = True
    maths: ClassVar[int] = 2
    name: str = result("mean_teacher", "Key of the method in gta.methods.METHODS.", text=NAME)
    consistency: str = result("mean_square", LOSSES, choices=CONSISTENCIES)
    unsupervised_weight: float = result(100.0, "Weight of the unsupervised loss.", within=WEIGHTS)
    threshold: float = result(0.0, SURE, within=(0, 1))
    on_labeled: bool = result(True, ON_LABELED)
    training_labels: bool = result(
        True, "The teacher predicts in training mode (BatchNorm, dropout); else in evaluation mode."
    )
    joint_batches: bool = result(True, TOGETHER)
    strong: bool = result(True, STRONG)


@dataclass(frozen=True, kw_only=True)
class CutMixConfig(MeanTeacherConfig):
    title: ClassVar[str] = "CutMix-Seg"
    name: str = result("cutmix", "Key of the method in gta.methods.METHODS.", text=NAME)
    consistency: str = result("sum_square", LOSSES, choices=CONSISTENCIES)
    unsupervised_weight: float = result(1.0, "Weight of the unsupervised loss.", within=WEIGHTS)
    threshold: float = result(0.97, SURE, within=(0, 1))
    cutmix_boxes: str = result("cutmix_seg", WHOSE, choices=BOXES)
    cutmix_probability: float = result(1.0, "Probability that an image (or group) is mixed.", within=(0, 1))
    on_labeled: bool = result(False, ON_LABELED)
    joint_batches: bool = result(False, TOGETHER)
    strong: bool = result(False, STRONG)


@dataclass(frozen=True, kw_only=True)
class _ConfidentConfig(MethodConfig):
    """What FixMatch and UniMatch have in common: confident labels on strong views, UniMatch's CutMix and factor."""

    uses_unlabeled: ClassVar[bool] = True
    threshold: float = result(0.95, "Pseudo-labels of less confidence are left out of the loss.", within=(0, 1))
    cutmix_boxes: str = result("unimatch", WHOSE, choices=BOXES)
    cutmix_probability: float = result(
        0.5, "Probability that an image (or group) is mixed, in each strong view by itself.", within=(0, 1)
    )
    loss_factor: float = result(
        0.5,
        "Factor of the whole loss: (supervised + unsupervised) / 2 in the public code.",
        within=Span(*WEIGHTS, above=True),
    )
    joint_batches: bool = result(
        False, "All images pass as one batch (BatchNorm); else labeled and weak ones do, and strong ones by themselves."
    )


@dataclass(frozen=True, kw_only=True)
class FixMatchConfig(_ConfidentConfig):
    title: ClassVar[str] = "FixMatch"
    maths: ClassVar[int] = 2
    name: str = result("fixmatch", "Key of the method in gta.methods.METHODS.", text=NAME)
    unsupervised_weight: float = result(1.0, "Weight of the unsupervised loss.", within=WEIGHTS)


@dataclass(frozen=True, kw_only=True)
class UniMatchConfig(_ConfidentConfig):
    title: ClassVar[str] = "UniMatch"
    maths: ClassVar[int] = 2
    name: str = result("unimatch", "Key of the method in gta.methods.METHODS.", text=NAME)
    strong_weight: float = result(0.25, "Weight of the loss of each of the two strong views.", within=WEIGHTS)
    feature_weight: float = result(0.5, "Weight of the loss of the view with dropped features.", within=WEIGHTS)
    feature_dropout: float = result(
        0.5, "Probability that a plane of the encoder's features is dropped there.", within=(0, 1)
    )


@dataclass(frozen=True, kw_only=True)
class UniMatchV2Config(_ConfidentConfig):
    title: ClassVar[str] = "UniMatch V2"
    maths: ClassVar[int] = 1
    name: str = result("unimatch_v2", "Key of the method in gta.methods.METHODS.", text=NAME)
    views: int = result(2, "Strong views, each of which learns the labels.", choices=(1, 2))
    complementary_dropout: bool = result(
        True, "Each of the two views loses the planes of the encoder's features that the other one keeps."
    )
    teacher_decay: float = result(0.996, "Cap of the decay by which the teacher follows the student.", within=(0, 1))
    joint_batches: bool = result(
        False, "Labeled and strong images pass as one batch; else each by themselves. A network without BatchNorm sees "
        "no difference."
    )  # fmt: skip
    unsupervised_weight: float = result(1.0, "Weight of the mean loss of the strong views.", within=WEIGHTS)


@dataclass(frozen=True, kw_only=True)
class AugSegConfig(MethodConfig):
    title: ClassVar[str] = "AugSeg"
    uses_unlabeled: ClassVar[bool] = True
    name: str = result("augseg", "Key of the method in gta.methods.METHODS.", text=NAME)
    threshold: float = result(
        0.95,
        "Pseudo-labels of less confidence are left out of the loss: 0.95 (VOC) or 0, none (Cityscapes).",
        within=(0, 1),
    )
    label_injection: bool = result(
        True, "What an image is mixed with holds a box of a labeled image, by a probability that is higher the less "
        "sure the teacher is; else it never does."
    )  # fmt: skip
    padding: str = result(
        AS_PAPER,
        "Padded pixels of unlabeled images: as_paper (no part of an image: neither labeled nor in its mean confidence) "
        "or as_code (labeled and learned like any other, as in the public code).",
        choices=READINGS,
    )
    teacher_decay: float = result(
        0.999, "Cap of the decay by which the teacher follows the student: 0.999 (VOC) or 0.996 (Cityscapes).",
        within=(0, 1),
    )  # fmt: skip
    unsupervised_weight: float = result(1.0, "Weight of the unsupervised loss.", within=WEIGHTS)

    def remark(self, data: DataConfig) -> str:
        if data.name != "cityscapes" or (self.threshold, self.teacher_decay) == (0.0, 0.996):
            return ""
        return (
            f"method={self.name} on cityscapes has threshold {self.threshold:g} and teacher_decay "
            f"{self.teacher_decay:g}; AugSeg's code has no threshold and 0.996 there: method=augseg_cityscapes, or "
            "augseg_as_code_cityscapes."
        )


@dataclass(frozen=True, kw_only=True)
class U2PLConfig(MethodConfig):
    title: ClassVar[str] = "U2PL"
    uses_unlabeled: ClassVar[bool] = True
    name: str = result("u2pl", "Key of the method in gta.methods.METHODS.", text=NAME)
    unreliable_percent: float = result(
        20.0,
        "Percentage of the pixels, those of highest entropy, that the unlabeled loss leaves out at first; as many are "
        "of low and of high entropy in the contrast. Falls to 0, epoch by epoch.",
        within=(0, 50),
    )
    epochs: int = result(
        0,
        "Equal epochs that the whole schedule counts as; 0: its own, which a frozen cell holds. In a schedule in "
        "iterations, which has none, unreliable_percent falls step by step.",
        within=COUNTS,
    )
    cutmix_probability: float = result(0.5, "Probability that a group is mixed.", within=(0, 1))
    unsupervised_weight: float = result(1.0, "Weight of the unsupervised loss.", within=WEIGHTS)
    contrast_weight: float | None = result(
        0.1,
        "Weight of the contrast: 0.1 in the paper; null: one over the number of groups of a batch, the GPUs of the "
        "public code.",
        within=WEIGHTS,
    )
    negatives: str = result(
        AS_PAPER,
        "Negatives of a class: as_paper (unreliable pixels that hardly are of it, labeled pixels of another class that "
        "look like it), or as_code (of these, only pixels whose own pseudo-label it is).",
        choices=READINGS,
    )
    pairing: str = result(
        AS_PAPER,
        "Which anchors meet the negatives of a class: as_paper (its own), or as_code (those of class i, where the "
        "class is the i-th of those that a group has).",
        choices=READINGS,
    )
    anchor_threshold: float = result(0.3, "Anchors have a probability above this of their class.", within=(0, 1))
    low_rank: int = result(3, "Of unlabeled negatives, the smallest rank (from 0) of the class.", within=(0, 65_536))
    high_rank: int = result(20, "Of unlabeled negatives, the first rank that is too large.", within=(0, 65_536))
    anchors: int = result(256, "Anchors of a class, drawn with replacement.", within=(1, 1_000_000))
    anchor_negatives: int = result(
        50, "Negatives of an anchor, drawn with replacement from the memory.", within=(1, 1_000_000)
    )
    temperature: float = result(0.5, "Temperature of the contrast.", within=Span(0, 1000, above=True))
    memory_size: int = result(30_000, "Representations of a class that the memory holds.", within=STEPS)
    memory_size_first: int = result(50_000, "Those of class 0 (background).", within=STEPS)
    strong: bool = result(False, STRONG)

    def in_schedule(self, schedule: ScheduleConfig) -> MethodConfig:
        return self if self.epochs else replace(self, epochs=schedule.epochs)


@dataclass(frozen=True, kw_only=True)
class CPSConfig(MethodConfig):
    title: ClassVar[str] = "CPS"
    uses_unlabeled: ClassVar[bool] = True
    maths: ClassVar[int] = 2
    name: str = result("cps", "Key of the method in gta.methods.METHODS.", text=NAME)
    cutmix: bool = result(True, "CutMix of unlabeled images; else both students see them as they are, and cross "
                          "supervision is on labeled images as well.")  # fmt: skip
    cutmix_boxes: str = result("cps", WHOSE, choices=BOXES)
    cutmix_probability: float = result(1.0, "Probability that an image (or group) is mixed.", within=(0, 1))
    unsupervised_weight: float = result(
        1.0, "Weight of the cross supervision. With CutMix 1 (VOC) or 5 (Cityscapes), without 1.5 or 6.", within=WEIGHTS
    )
    training_labels: bool = result(
        True, "With CutMix, labels are made in training mode (BatchNorm, dropout); else in evaluation mode."
    )
    joint_batches: bool = result(
        False, "Labeled and unlabeled images pass as one batch (BatchNorm); else each pass by themselves."
    )
    strong: bool = result(False, "Both students see the strong view of unlabeled images; else the weak one.")


@dataclass(frozen=True, kw_only=True)
class StudentTeacherConfig(MethodConfig):
    title: ClassVar[str] = "Student-teacher"
    uses_unlabeled: ClassVar[bool] = True
    name: str = result("student_teacher", "Key of the method in gta.methods.METHODS.", text=NAME)
    drop_percent: float = result(
        80.0,
        "Percentage of the pixels, the most confident ones, that the unlabeled loss keeps.",
        within=(0, 100),
    )
    weighting: str = result(
        "laplace", "Weight of a pixel of confidence c: laplace (1 + c), confidence (c), none (1).", choices=WEIGHTINGS
    )
    cutmix_probability: float = result(0.5, "Probability that a group is mixed.", within=(0, 1))
    unsupervised_weight: float = result(1.0, "Weight of the unsupervised loss.", within=WEIGHTS)
    strong: bool = result(False, STRONG)


@dataclass(frozen=True, kw_only=True)
class GTAConfig(StudentTeacherConfig):
    title: ClassVar[str] = "GTA-Seg"
    name: str = result("gta", "Key of the method in gta.methods.METHODS.", text=NAME)
    confidence: str = result(
        "second_pass",
        "Whose c: second_pass (teacher, training mode, on the mixed batch) or pseudo_label (that of the label).",
        choices=CONFIDENCES,
    )
    joint_batches: bool = result(
        True, "Networks see labeled and unlabeled images as one batch (BatchNorm); else each loss has its own."
    )
    transfer: str = result(
        "feature_extractor",
        "What the student takes over of the assistant: none, encoder, feature_extractor, all.",
        choices=TRANSFERS,
    )
    transfer_decay: float | None = result(
        None,
        "Cap of the decay by which the student follows the assistant; null: schedule.ema_decay.",
        within=(0, 1),
    )
    teacher_decay: float | None = result(
        None,
        "Cap of the decay by which the teacher follows the student; null: schedule.ema_decay.",
        within=(0, 1),
    )
    share_mask_predictor: bool = result(
        False, "Student and assistant hold ONE mask predictor, as in the public code by mistake."
    )
    unsupervised_weight: float = result(1.0, "Weight of the assistant's loss.", within=WEIGHTS)
    strong: bool = result(False, "Assistant and student see the strong view of unlabeled images; else the weak one.")
