"""Any backbone of timm as an encoder, by its own name and with its own tensors' names, without what is behind it.

timm is optional (the extra `timm`) and imported only here. It imports torchvision, whose build must fit torch's: where
these do not fit, no import of timm can work, and that is said in a sentence.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from gta.config import ModelConfig
from gta.encoders import TIMM, timm_name
from gta.errors import UserError
from gta.text import did_you_mean, first_line

LOW = 4  # stride of the low-level features of DeepLabV3+
TAPS = 4  # maps for DPT, of blocks at equal distances, the last block's among them


class TimmEncoder(nn.Module):
    """(B, 3, h, w) -> maps of a backbone that timm makes, with random weights: for DeepLabV3+ three of a convolutional
    one (at stride 4, of the stage before the last, and of the last at the output stride); with `model.patch` four of a
    vision transformer's blocks, each (B, D, h / patch, w / patch) behind the last norm, for DPT.

    `channels` are the planes of these. Raises UserError where timm cannot be imported, has no such backbone, or one
    that has no such features.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.normed = config.patch > 0
        model = _made(config)
        features = [(feature["num_chs"], feature["reduction"]) for feature in model.feature_info]
        strides = [stride for _, stride in features]
        self.taken = _taps(config, strides) if config.patch else _stages(config, strides)
        self.channels = tuple(features[place][0] for place in self.taken)
        model.prune_intermediate_layers(self.taken, prune_norm=not self.normed, prune_head=True)
        self.timm_model = cast(nn.Module, model)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        maps = self.timm_model.forward_intermediates(  # type: ignore[operator]
            x, indices=self.taken, norm=self.normed, output_fmt="NCHW", intermediates_only=True
        )
        return tuple(maps)


def _made(config: ModelConfig) -> Any:
    """The whole backbone without its classifier."""
    timm, name = _timm(config.encoder), timm_name(config.encoder)
    if not timm.is_model(name.partition(".")[0]):
        raise UserError(
            f"model.encoder={config.encoder}: timm {timm.__version__} has no such model; "
            f"{did_you_mean(name, timm.list_models())}"
        )
    _check_tag(timm, config.encoder)
    options = {"dynamic_img_size": True} if config.patch else {"output_stride": config.output_stride}
    try:
        model = timm.create_model(name, pretrained=False, num_classes=0, **options)
    except (TypeError, ValueError, AssertionError, NotImplementedError, RuntimeError) as error:
        able = "images of other sizes" if config.patch else f"an output stride of {config.output_stride}"
        other = _OTHER if config.patch else f"{_OTHER[:-1]}; for a vision transformer model=timm_vit."
        raise UserError(
            f"model.encoder={config.encoder}: timm's {name} cannot be made for {able}: {other} "
            f"(timm says: {first_line(error)})"
        ) from None
    if not hasattr(model, "forward_intermediates") or not hasattr(model, "prune_intermediate_layers"):
        raise UserError(f"model.encoder={config.encoder}: timm's {name} does not hand out features: {_OTHER}")
    return model


def _check_tag(timm: Any, encoder: str) -> None:
    """Raise UserError for a name with a tag (timm's word for which weights) that timm does not know of the backbone."""
    name, dot, tag = timm_name(encoder).partition(".")
    known = sorted(full.partition(".")[2] for full in timm.models.get_arch_pretrained_cfgs(name))
    if not dot or tag in known:
        return
    tags = [one for one in known if one]
    choice = did_you_mean(tag, tags) if tags else "it has none"
    raise UserError(
        f"model.encoder={encoder}: timm {timm.__version__} has no tag {tag!r} of {name}; {choice} The weights are "
        f"model.weights' in any case: {TIMM}{name} will do."
    )


_OTHER = "choose another backbone (timm.list_models())."


def _taps(config: ModelConfig, strides: list[int]) -> list[int]:
    if set(strides) != {config.patch} or len(strides) < TAPS:
        raise UserError(
            f"model.encoder={config.encoder} has features at the strides {_listed(strides)}, and model.patch="
            f"{config.patch} asks for a vision transformer whose blocks are all at that one: "
            + (f"use model.patch={strides[0]}." if len(set(strides)) == 1 else "use model=timm, which has no patches.")
        )
    return [len(strides) * (place + 1) // TAPS - 1 for place in range(TAPS)]


def _stages(config: ModelConfig, strides: list[int]) -> list[int]:
    low = [place for place, stride in enumerate(strides) if stride == LOW]
    if not low or strides[-1] != config.output_stride or low[-1] >= len(strides) - 2:
        raise UserError(
            f"model.encoder={config.encoder} has features at the strides {_listed(strides)}; DeepLabV3+ needs some at "
            f"{LOW}, and the last at model.output_stride={config.output_stride} two stages behind: {_OTHER}"
        )
    return [low[-1], len(strides) - 2, len(strides) - 1]


def _listed(strides: list[int]) -> str:
    return ", ".join(str(stride) for stride in dict.fromkeys(strides))


def _timm(encoder: str) -> Any:
    """The package. Raises UserError where it is not installed, or cannot be imported."""
    try:
        import timm
    except ModuleNotFoundError as error:
        raise UserError(
            f"model.encoder={encoder} needs timm, and {error.name} is not installed: pip install '.[timm]', with the "
            f"torchvision that is built for torch {torch.__version__}."
        ) from None
    except Exception as error:  # torchvision beside a torch that it was not built for raises all sorts
        raise UserError(
            f"model.encoder={encoder} needs timm, which cannot be imported ({str(error).splitlines()[0]}): it imports "
            f"torchvision, which must be built for torch {torch.__version__}: take both from one index of wheels."
        ) from None
    return timm
