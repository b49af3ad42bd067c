"""Which encoders there are, and what a network's settings may be: no torch is needed to refuse the others."""

from __future__ import annotations

from gta.config import ModelConfig
from gta.errors import UserError
from gta.fields import check_values
from gta.text import did_you_mean

ENCODERS = ("tiny", "resnet18", "resnet34", "resnet50", "resnet101")  # gta.models makes them


def check_model(config: ModelConfig) -> None:
    """Raise UserError for an unknown encoder, and for a setting that it cannot have."""
    check_values(config, "model.")
    if config.encoder not in ENCODERS:
        raise UserError(
            f"model.encoder={config.encoder}: no such encoder; {did_you_mean(config.encoder, list(ENCODERS))}"
        )
    if config.encoder == "tiny" and config.width < 1:
        raise UserError(f"model.width is {config.width}; the tiny encoder needs a width of at least 1 (8, say).")
