"""Scoring against the plain forward pass of the same network over the same images, in one process.

usage: python benchmarks/evaluate.py [encoder=tiny] [height=375] [width=500] [images=8] [batch=4] [classes=21]
       [precision=fp32] [window=321] [looks=whole,windows,scales] [rounds=7] [threads=1] [device=cpu] [json=FILE]

Three ways to look at an image: whole, by sliding windows, at two scales and mirrored. Of each, `forward` is the
network's passes alone, one by one, on images that lie ready; everything else is a ratio to it. `plain scoring` is what
public code does with the scores: argmax, a boolean mask, a count. `ours` is `gta.train.counting`, whose scores are also
looked at for what is not finite; then with `evaluation.batch`. The last rows read the images and masks from JPEG and
PNG files as an evaluation does, without a worker beside it (they need Pillow and OpenCV, and are left out where these
are not): one network, and two that share the reading, against the passes of both.
All rows, the plain ones too, have freed memory kept, as an evaluation has it from its first batch on.
Rounds go over all rows in turn; seconds are those of the process (CPU time; on a GPU by the clock, its work done).
"""

from __future__ import annotations

import json
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.options import parse
from gta.config import Config, DataConfig, EvaluationConfig, ModelConfig, SiteConfig
from gta.methods import METHODS
from gta.models import build_model
from gta.ops.hostmemory import kept
from gta.train import inference
from gta.train.counting import Counts, count_batch

DEFAULTS: dict[str, Any] = {
    "encoder": "tiny", "height": 375, "width": 500, "images": 8, "batch": 4, "classes": 21, "precision": "fp32",
    "window": 321, "looks": "whole,windows,scales", "rounds": 7, "threads": 1, "device": "cpu", "json": "",
}  # fmt: skip
FORWARD = "forward"
LOOKS: dict[str, dict[str, Any]] = {
    "whole": {},
    "windows": {"protocol": "sliding_window"},
    "scales": {"scales": [0.75, 1.0], "flip": True},
}
Rows = dict[str, Callable[[], object]]


def main(arguments: list[str]) -> None:
    options = parse(arguments, DEFAULTS, __doc__)
    if unknown := set(options["looks"].split(",")) - set(LOOKS):
        sys.exit(f"looks={','.join(sorted(unknown))}: there are {', '.join(LOOKS)}")
    torch.set_num_threads(options["threads"])
    print(
        f"torch {torch.__version__}, Python {platform.python_version()}, {platform.machine()}, {options['threads']} "
        f"threads, {options['device']}; {options['encoder']}, {options['images']} images of {options['width']}x"
        f"{options['height']}, {options['classes']} classes, batches of {options['batch']}, {options['precision']}\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        works = made(options, Path(folder))
        with kept(torch.device(options["device"])):
            seconds = measure(works, options)
    print("| look | work | seconds an image (median) | smallest to largest | this / forward |")
    print("| --- | --- | ---: | ---: | ---: |")
    for look, rows in seconds.items():
        for name, taken in rows.items():
            spread = f"{min(taken):.4f} to {max(taken):.4f}"
            ratio = median(taken) / median(rows[FORWARD]) / (2 if name.startswith("two networks") else 1)
            print(f"| {look} | {name} | {median(taken):.4f} | {spread} | {ratio:.2f} |")
    if options["json"]:
        Path(options["json"]).write_text(json.dumps({"options": options, "seconds": seconds}, indent=1))


def measure(works: dict[str, Rows], options: dict[str, Any]) -> dict[str, dict[str, list[float]]]:
    """Seconds an image in each round: of each look, by each row."""
    seconds: dict[str, dict[str, list[float]]] = {look: {name: [] for name in rows} for look, rows in works.items()}
    for number in range(options["rounds"] + 1):  # the first one chooses kernels and fills memory
        for look, rows in works.items():
            for name, work in rows.items():
                begin = now(options)
                work()
                if number:
                    seconds[look][name].append((now(options) - begin) / options["images"])
    return seconds


@torch.no_grad()
def made(options: dict[str, Any], folder: Path) -> dict[str, Rows]:
    """The rows of each look."""
    device, ids = torch.device(options["device"]), [f"picture{number}" for number in range(options["images"])]
    networks = {name: network(options, seed).to(device).eval() for seed, name in enumerate(("student", "teacher"))}
    arrays = [picture(options, number) for number in range(len(ids))]
    masks = torch.from_numpy(np.stack([mask for _, mask in arrays])).to(device)
    images = torch.stack([torch.from_numpy(image).permute(2, 0, 1) for image, _ in arrays]).float().to(device)
    images = (images - 116) / 57
    readable = bool(find_spec("cv2") and find_spec("PIL"))
    if readable:
        write(folder, dict(zip(ids, arrays, strict=True)))
    else:
        print("Pillow or OpenCV is not installed: nothing is read from files.\n")
    works: dict[str, Rows] = {}
    for look in options["looks"].split(","):
        one = config_of(options, folder, LOOKS[look], 1)
        several = config_of(options, folder, LOOKS[look], options["batch"])
        rows: Rows = {
            FORWARD: Forward(networks["student"], images, one),
            "plain scoring": Plain(networks["student"], images, masks, one),
            "ours": Ours(networks["student"], images, masks, one),
            f"ours, batches of {options['batch']}": Ours(networks["student"], images, masks, several),
        }
        if readable:
            from gta.train.evaluate import count

            student = {"student": networks["student"]}
            rows["ours, from files"] = lambda one=one, student=student: count(student, [one], ids, device)  # type: ignore[misc]
            rows["two networks, from files"] = lambda one=one: count(networks, [one], ids, device)  # type: ignore[misc]
        works[look] = rows
    return works


class Forward:
    """The passes of one look at each image, which are made ready here; their scores are dropped."""

    def __init__(self, network: nn.Module, images: Tensor, config: Config):
        self.network, self.config = network, config
        self.seen: list[Tensor] = []
        hook = network.register_forward_pre_hook(lambda _, given: self.seen.append(given[0].clone()))
        for image in images:
            inference.class_scores(network, image[None], (image.shape[1], image.shape[2]), config)
        hook.remove()

    @torch.no_grad()
    def __call__(self) -> None:
        bf16 = self.config.evaluation.precision == "bf16"
        with torch.autocast(self.seen[0].device.type, torch.bfloat16, enabled=bf16):
            for one in self.seen:
                self.network(one)


class Plain:
    """The same passes, and of the scores what is counted, an image at a time, as public code counts it."""

    def __init__(self, network: nn.Module, images: Tensor, masks: Tensor, config: Config):
        self.network, self.images, self.masks, self.config = network, images, masks.long(), config

    def __call__(self) -> Tensor:
        classes = len(self.config.data.classes)
        total = torch.zeros(classes, classes, dtype=torch.int64, device=self.images.device)
        for image, truth in zip(self.images, self.masks, strict=True):
            scores = inference.class_scores(self.network, image[None], (truth.shape[0], truth.shape[1]), self.config)
            valid, guess = truth != 255, scores.argmax(1)[0]
            cells = classes * truth[valid] + guess[valid]
            total += torch.bincount(cells, minlength=classes**2).reshape(classes, classes)
        return total


class Ours:
    """The counts of this project, in batches of the config's."""

    def __init__(self, network: nn.Module, images: Tensor, masks: Tensor, config: Config):
        self.networks, self.images, self.masks, self.config = {"it": network}, images, masks, config

    def __call__(self) -> Tensor:
        size, device = self.config.evaluation.batch, self.images.device
        found = {"it": Counts.none(len(self.config.data.classes), 0, device)}
        unsound = {"it": torch.zeros(len(self.images), dtype=torch.int64, device=device)}
        numbers = torch.arange(len(self.images), device=device)
        for images, masks, some in zip(
            self.images.split(size), self.masks.split(size), numbers.split(size), strict=True
        ):
            count_batch(self.networks, [self.config], images, masks, some, [found], unsound)
        return found["it"].total


def network(options: dict[str, Any], seed: int) -> nn.Module:
    tiny: dict[str, Any] = {"width": 8, "decoder_channels": 16, "aspp_rates": [1, 2, 3]}
    wide: dict[str, Any] = {"aspp_rates": [12, 24, 36], "output_stride": 8, "memory_format": "channels_last"}
    size = tiny if options["encoder"] == "tiny" else wide
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_model(ModelConfig(encoder=options["encoder"], dropout=0.0, **size), options["classes"])


def config_of(options: dict[str, Any], folder: Path, look: dict[str, Any], batch: int) -> Config:
    data = DataConfig(
        name="made", root=str(folder), classes=[f"class {number}" for number in range(options["classes"])], split="0",
        images="images", masks="masks", crop_size=options["window"],
    )  # fmt: skip
    evaluation = EvaluationConfig(batch=batch, precision=options["precision"], **look)
    model = ModelConfig(encoder="tiny", width=8)  # what is scored is told by it alone: it has no patches
    config = Config(method=METHODS["supervised"].Config(), data=data, model=model, evaluation=evaluation)
    return replace(config, site=SiteConfig(workers=0, device=options["device"]))


def picture(options: dict[str, Any], number: int) -> tuple[np.ndarray, np.ndarray]:
    """Smooth colours with noise, as photographs compress, and a mask of rectangles, a twentieth of it ignored."""
    generator, (height, width) = np.random.default_rng(number), (options["height"], options["width"])
    coarse = generator.integers(0, 256, (height // 25 + 1, width // 25 + 1, 3)).astype(np.int16)
    image = coarse.repeat(25, 0).repeat(25, 1)[:height, :width] + generator.integers(-8, 9, (height, width, 3))
    blocks = generator.integers(0, options["classes"], (height // 60 + 1, width // 60 + 1), dtype=np.uint8)
    mask = blocks.repeat(60, 0).repeat(60, 1)[:height, :width].copy()
    mask[: height // 20] = 255
    return np.clip(image, 0, 255).astype(np.uint8), mask


def write(folder: Path, arrays: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
    from PIL import Image

    for name in ("images", "masks"):
        (folder / name).mkdir()
    for name, (image, mask) in arrays.items():
        Image.fromarray(image).save(folder / "images" / f"{name}.jpg", quality=90)
        Image.fromarray(mask).save(folder / "masks" / f"{name}.png")


def now(options: dict[str, Any]) -> float:
    """Seconds of this process; on a GPU by the clock, once its work is done."""
    if options["device"].startswith("cuda"):
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


if __name__ == "__main__":
    main(sys.argv[1:])
