"""Every method's step as plainly as its public code makes it, from its description: what ours is timed against.

One process, one group, eager NCHW, float32, optimizers and moving averages tensor by tensor, pixels chosen by boolean
masks, numbers asked for on the host. They share networks with `gta` and nothing else, so that they are a check of its
maths as well. The maths are the documented ones (docs/explanation/method.md), with their departures.

Off: dropout in the decoder, OHEM, the auxiliary head, the warm-up. Given from outside, since both sides are to take the
same (`Drawn`): boxes of CutMix, planes that are dropped, AugSeg's mixing, U2PL's anchors and negatives; a plain step is
timed without drawing them, ours with. Also given: the confidence threshold, as an untrained network is never sure.
"""

from __future__ import annotations

from benchmarks.plain.augseg import PlainAugSeg
from benchmarks.plain.cps import PlainCPS
from benchmarks.plain.fixmatch import PlainFixMatch, PlainUniMatch
from benchmarks.plain.gta import PlainGTA, PlainStudentTeacher
from benchmarks.plain.mean_teacher import PlainCutMix, PlainMeanTeacher
from benchmarks.plain.shared import Batch, Drawn, Mixing, Start, Step
from benchmarks.plain.supervised import PlainSupervised
from benchmarks.plain.u2pl import PlainU2PL
from benchmarks.plain.unimatch_v2 import PlainUniMatchV2

__all__ = ["PLAIN", "Batch", "Drawn", "Mixing", "Start", "Step"]

PLAIN: dict[str, type[Step]] = {
    "supervised": PlainSupervised,
    "fully_supervised": PlainSupervised,
    "mean_teacher": PlainMeanTeacher,
    "cutmix": PlainCutMix,
    "fixmatch": PlainFixMatch,
    "unimatch": PlainUniMatch,
    "unimatch_v2": PlainUniMatchV2,
    "augseg": PlainAugSeg,
    "u2pl": PlainU2PL,
    "cps": PlainCPS,
    "student_teacher": PlainStudentTeacher,
    "gta": PlainGTA,
}
