"""How good pseudo-labels are where the truth is known: on generated data, whose unlabeled images have masks too.

A diagnostic only: no training step sees these masks, and nothing here draws a random number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from gta.config import Config
from gta.data.extra import MARK
from gta.data.loaders import val_samples
from gta.data.spec import IGNORE
from gta.methods.base import Method
from gta.models.segmentation import upsample
from gta.ops.distributed import unwrap
from gta.train import inference

IMAGES = 32


@torch.no_grad()
def quality(
    method: Method, config: Config, unlabeled: Sequence[str], iteration: int, device: torch.device
) -> dict[str, float]:
    """{"pseudo/accuracy": share (0 to 1) of the kept pseudo-labels that are right}, or {} where none can be judged.

    Of the network that labels, on the first 32 unlabeled images with masks, whole and without augmentation. Kept is
    what the method keeps by the confidence, taken over these images together. {} for data that were not generated,
    during the warm-up, and for a method without pseudo-labels.
    """
    if config.data.generator is None or not method.uses_unlabeled or iteration <= config.schedule.warm_up:
        return {}
    judged = [item for item in unlabeled if not item.startswith(MARK)]  # what data.unlabeled_root found has no masks
    if not judged:
        return {}
    network = unwrap(method.models[method.labeling])
    alone = replace(config.evaluation, batch=1, precision="fp32")
    here = replace(config, site=replace(config.site, workers=0), evaluation=alone)
    mode = network.training
    network.eval()
    confidences, rights = [], []
    for _, image, mask in val_samples(here, judged[:IMAGES], 0, 1):
        scores = upsample(inference.logits(network, image.to(device), here), (mask.shape[0], mask.shape[1]))
        confidence, label = scores.softmax(1).max(1)
        valid = mask.to(device) != IGNORE
        confidences.append(confidence[0][valid])
        rights.append(label[0][valid] == mask.to(device)[valid])
    network.train(mode)
    confidence, right = torch.cat(confidences), torch.cat(rights)
    chosen = right[method.kept(confidence)]
    return {"pseudo/accuracy": float(chosen.float().mean())} if chosen.numel() else {}
