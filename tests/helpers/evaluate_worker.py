"""The ranks of tests/gta/train/test_evaluate.py: 1, 2 and 3 write their matrices, 2 train a cell, and 2 fail."""

from __future__ import annotations

import errno
import sys
import threading
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from gta.config import EvaluationConfig
from gta.methods import METHODS, Method
from gta.models import build_model
from gta.ops import distributed
from gta.ops.batch import Labeled, Unlabeled
from gta.train import checkpoint
from gta.train.evaluate import confusion_matrices, count
from gta.train.writer import Writer
from tests.helpers.configs import changed
from tests.helpers.mixed_shapes import IDS as MIXED
from tests.helpers.mixed_shapes import mixed, of_the_batch
from tests.helpers.ranks import forked
from tests.helpers.training import make, train_in


def main(folder: str, out: str) -> None:
    torch.set_num_threads(1)
    for world in (1, 2, 3):
        forked(world, partial(rank, folder, f"{out}/{world}.pt"))
    forked(2, partial(full_disk_and_nan, folder, out))


def rank(folder: str, out: str) -> None:
    device = distributed.init_from_env("cpu")
    torch.manual_seed(0)
    config = make(Path(folder))
    config = changed(config, {"data.input_scale": 0.5})
    networks = {name: build_model(config.model, len(config.data.classes)) for name in ("student", "teacher")}
    ids = [f"val_{number:05d}" for number in range(5)]
    matrices = confusion_matrices(networks, config, ids, device)
    windows = EvaluationConfig(protocol="sliding_window", window=16, scales=[1.0, 1.5], flip=True)
    config = changed(config, {"evaluation": windows})
    sliding = confusion_matrices(networks, config, ids, device)
    matrices |= {f"{name} by sliding window": matrix for name, matrix in sliding.items()}
    (counts,) = count({"student": networks["student"]}, [config], ids, device, by_image=True)
    matrices |= {"intersection": counts["student"].intersection, "union": counts["student"].union}
    in_batches = mixed(Path(folder), batch=2, protocol="sliding_window", window=40)
    (counts,) = count({"it": of_the_batch()}, [in_batches], MIXED, device, by_image=True)
    matrices |= {"batches": counts["it"].total, "batches by image": counts["it"].intersection}
    if distributed.world_size() == 2:
        train_in(Path(out).with_name("cell"), make(Path(folder), "supervised"))
    if distributed.rank() == 0:
        torch.save({"world": distributed.world_size(), **matrices}, out)
    distributed.shutdown()


def full_disk_and_nan(folder: str, out: str) -> None:
    """Rank 0 cannot write the checkpoint of iteration 3, and gets to know it when the loss of iteration 4 is NaN on
    both: writes what each rank ended with.
    """
    supervised, looked = METHODS["supervised"], threading.Event()
    step, wait = supervised.step, Writer.wait

    def nan(self: Method, labeled: Labeled, unlabeled: Unlabeled | None, iteration: int) -> dict[str, Tensor]:
        losses = step(self, labeled, unlabeled, iteration)
        return {name: value * float("nan") for name, value in losses.items()} if iteration == 3 else losses

    def waiting(self: Writer) -> None:
        if self.writing:
            looked.set()
        wait(self)

    def no_room(path: Path, *_: object) -> None:
        assert looked.wait(60)
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    supervised.step, Writer.wait, checkpoint.save = nan, waiting, no_room  # type: ignore[assignment, method-assign]
    try:
        train_in(Path(out) / "full", make(Path(folder), "supervised"))
    except Exception as error:
        Path(out, f"failed{distributed.rank()}.txt").write_text(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
