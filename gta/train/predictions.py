"""Pictures of predictions: palette masks, overlays, and what the Cityscapes server wants."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from gta.colours import class_colours
from gta.config import Config, DataConfig
from gta.data.resample import rescale
from gta.data.transforms import normalise
from gta.files import replacing
from gta.train import inference

# labelIds of the 19 Cityscapes classes, by train id (cityscapesScripts, helpers/labels.py).
CITYSCAPES_LABEL_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)


def predict(network: nn.Module, image: np.ndarray, config: Config, device: torch.device) -> np.ndarray:
    """(H, W, 3) uint8 RGB -> (H, W) uint8 class indices, by the configured protocol. The network is in eval mode."""
    small = rescale(image, config.data.input_scale, labels=False)
    batch = normalise(np.array(small)[None], config.data).to(device)
    scores = inference.class_scores(network, batch, (image.shape[0], image.shape[1]), config)
    return scores.argmax(1)[0].cpu().numpy().astype(np.uint8)


def save_mask(path: Path, mask: np.ndarray, config: DataConfig) -> None:
    """An index mask with the data set's colours, as the labels of training are: PNG, mode P."""
    picture = Image.fromarray(mask)
    picture.putpalette(palette(config).tobytes())
    _save(path, picture)


def save_overlay(path: Path, image: np.ndarray, mask: np.ndarray, config: DataConfig) -> None:
    """The image with the classes' colours over it, half and half."""
    mixed = (image.astype(np.uint16) + palette(config)[mask]) // 2
    _save(path, Image.fromarray(mixed.astype(np.uint8)))


def save_label_ids(path: Path, mask: np.ndarray) -> None:
    """An 8-bit gray PNG of Cityscapes labelIds, not train ids."""
    _save(path, Image.fromarray(np.array(CITYSCAPES_LABEL_IDS, dtype=np.uint8)[mask]))


def palette(config: DataConfig) -> np.ndarray:
    """(256, 3) uint8: RGB by class index."""
    return np.array(class_colours(config.palette, 256), dtype=np.uint8)


def _save(path: Path, picture: Image.Image) -> None:
    with replacing(path) as temporary:
        picture.save(temporary, format="PNG")
