"""One rank of tests/gta/test_evaluate.py, under torchrun or alone: writes its confusion matrices, and trains a cell."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from gta.config import EvaluationConfig
from gta.models import build_model
from gta.ops import distributed
from gta.train.evaluate import confusion_matrices
from gta.train.run import train
from tests.helpers.training import make


def main(folder: str, out: str) -> None:
    device = distributed.init_from_env("cpu")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = make(Path(folder))
    config.data.input_scale = 0.5
    networks = {name: build_model(config.model, len(config.data.classes)) for name in ("student", "teacher")}
    ids = [f"val_{number:05d}" for number in range(5)]
    matrices = confusion_matrices(networks, config, ids, device)
    config.evaluation = EvaluationConfig(protocol="sliding_window", window=16, scales=[1.0, 1.5], flip=True)
    sliding = confusion_matrices(networks, config, ids, device)
    matrices |= {f"{name} by sliding window": matrix for name, matrix in sliding.items()}
    if distributed.world_size() == 2:
        train(make(Path(folder), "supervised"), Path(out).with_name("cell"), "sig")
    if distributed.rank() == 0:
        torch.save({"world": distributed.world_size(), **matrices}, out)
    distributed.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
