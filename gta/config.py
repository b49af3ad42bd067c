"""The typed schema of one cell's configuration: plain dataclasses, importable without Hydra or torch.

Every field says what it is, which values it may have and, by `result` or `neutral`, whether it can change a result. The
settings of a method are in `gta/methods/settings.py`, on top of `MethodConfig`. A range leaves room for what somebody
may want and none for what cannot be meant, or would end in a hang; a text is one line if nothing else is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gta.containerconfig import ContainerConfig
from gta.dataconfig import AugmentConfig, DataConfig, ShapesConfig
from gta.evaluationconfig import (
    CROP,
    CROP_BACKGROUND,
    ORIGINAL,
    PRECISIONS,
    PROTOCOLS,
    SLIDING,
    EvaluationConfig,
)
from gta.fields import neutral, result
from gta.notifyconfig import NotifyConfig
from gta.ranges import LINE, MISSING, NAME, PATH, SCRIPT, SEEDS, WORD, WORDS, Span
from gta.scheduleconfig import ScheduleConfig
from gta.sweep import UNNAMED

__all__ = [
    "CROP", "CROP_BACKGROUND", "MISSING", "ORIGINAL", "PRECISIONS", "PROTOCOLS", "SLIDING", "AugmentConfig", "Config",
    "DataConfig", "EvaluationConfig", "MethodConfig", "ModelConfig", "PathsConfig", "ScheduleConfig", "ShapesConfig",
    "SiteConfig",
]  # fmt: skip

NONE, CONVOLUTIONS, ALL = TF32 = ("none", "convolutions", "all")


@dataclass(frozen=True, kw_only=True)
class MethodConfig:
    """Of a method also what it is, whatever its settings; its class has the same (`gta.methods.base.Method`)."""

    uses_unlabeled: ClassVar[bool] = False
    maths: ClassVar[int] = 1
    title: ClassVar[str] = ""  # what a paper calls it; empty: its key, with spaces

    name: str = result(MISSING, "Key of the method in gta.methods.METHODS.", text=NAME)
    label: str = neutral("", "Row name in tables; empty: the method's name.")
    paper_label: str = neutral("", "Row name in a paper's table; empty: the method's title, with what the label adds.")

    def in_schedule(self, schedule: ScheduleConfig) -> MethodConfig:
        """The settings with what they take from a schedule that may be in epochs still: those that a cell freezes."""
        return self

    def remark(self, data: DataConfig) -> str:
        """What is said of these settings on a data set before they are trained, in a sentence; empty for nothing."""
        return ""


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """DeepLabV3+ over a convolutional encoder, or DPT over a vision transformer."""

    encoder: str = result(
        MISSING, "Key of the encoder in gta.models.ENCODERS; or timm:NAME, with the extra timm.", text=NAME
    )
    width: int = result(0, "Base width of the tiny encoder; 0 for the others.", within=(0, 1024))
    output_stride: int = result(16, "Input size over encoder output size: 8 or 16.", choices=(8, 16))
    decoder_channels: int = result(
        256, "Planes of ASPP branches, head and mask predictor; of DPT, those of its fused maps.", within=(1, 4096)
    )
    aspp_rates: list[int] = result(
        [6, 12, 18], "Dilations of the three 3x3 ASPP branches.", within=(1, 256), count=(1, 16)
    )
    low_level_channels: int = result(
        0, "Planes of DeepLabV3+'s low-level projection; 0: as many as decoder_channels.", within=(0, 4096), later=True
    )
    head_kernel: int = result(
        3,
        "Side of the convolution behind ASPP, which joins its branches: 3 or 1.",
        choices=(1, 3),
        later=True,
    )
    dropout: float = result(0.1, "Dropout2d probability in the head and the mask predictor.", within=(0, 1))
    auxiliary: bool = result(False, "An auxiliary head on layer3, trained with schedule.auxiliary_weight.")
    stem: str = result(
        "deep", "Stem of a ResNet: deep (three 3x3 convolutions) or plain (one 7x7).", choices=("deep", "plain")
    )
    mask_predictor: str = result(
        "output",
        "Where DPT is cut into feature extractor and mask predictor: output (its last two convolutions predict masks), "
        "classifier (the last one alone), fusion (the last fusion block too), decoder (all but the encoder).",
        choices=("output", "classifier", "fusion", "decoder"),
        later=True,
    )
    register_tokens: int = result(
        0, "Register tokens of DINOv2: 4 where the weights file has them (its name says reg4).", choices=(0, 4),
        later=True,
    )  # fmt: skip
    patch: int = result(
        0,
        "Side of the patches of a vision transformer of timm, which gets the DPT decoder; 0: a convolutional encoder, "
        "or one of ours.",
        within=(0, 64),
        later=True,
    )
    dry: bool = result(
        False,
        "A tiny network of the same kind stands in for this one: a small convolutional encoder, or a small vision "
        "transformer with its patches, and 8 planes in the decoder (schedule=dry). Its numbers mean nothing.",
        later=True,
    )
    memory_format: str = result(
        "contiguous",
        "How feature maps lie in memory: contiguous (NCHW), or channels_last (NHWC): faster in large networks; the "
        "same maths, rounded otherwise.",
        choices=("contiguous", "channels_last"),
    )
    recompute: bool = neutral(
        False,
        "A vision transformer's blocks pass once more in the backward pass instead of keeping their activations: less "
        "memory, a third more arithmetic, the same numbers.",
    )
    weights: str = neutral(
        MISSING, "File with the encoder's initial weights (its sha256 is in the signature), or `random`.", text=PATH
    )
    weights_source: str = neutral("", "Where that file can be had; doctor says it where the file is not there.")


@dataclass(frozen=True, kw_only=True)
class SiteConfig(ContainerConfig, NotifyConfig):
    """What differs between machines and clusters."""

    device: str = neutral("auto", "cuda, cpu, or auto (cuda where there is one).", choices=("auto", "cpu", "cuda"))
    workers: int = neutral(2, "Data-loading processes a rank; 0 loads in the training process.", within=(0, 256))
    cells_at_once: int = neutral(
        0, "Local launcher: cells that run at the same time; 0: as many as cores over threads.", within=(0, 4096)
    )
    ranks: int = neutral(1, "Processes a node for one cell (one a GPU).", within=(1, 256))
    nodes: int = neutral(1, "Nodes of one cell.", within=(1, 16_384))
    partition: str | None = neutral(None, "Slurm partition.", text=WORD)
    account: str | None = neutral(None, "Slurm account.", text=WORD)
    qos: str | None = neutral(None, "Slurm quality of service.", text=WORD)
    gpus_per_node: int | None = neutral(None, "GPUs a node.", within=(0, 256))
    gpu_type: str | None = neutral(None, "Kind of these GPUs, as the cluster calls it (a100); null: any.", text=WORD)
    cpus_per_rank: int = neutral(1, "CPUs a rank.", within=(1, 4096))
    mem_gb: int | None = neutral(
        None, "Memory of a node's job in GB; null: the cluster's default.", within=(1, 1_000_000)
    )
    time_limit: int = neutral(1440, "Minutes a job may run.", within=(1, 1_000_000))
    array_parallelism: int = neutral(256, "Most jobs of a sweep's array that run at once.", within=(1, 1_000_000))
    cells_per_gpu: int = neutral(1, "Cells of one rank that a Slurm job runs at once on its GPU.", within=(1, 64))
    constraint: str | None = neutral(None, "Features that a node must have (sbatch --constraint).", text=WORD)
    exclude: str | None = neutral(None, "Nodes to keep away from (sbatch --exclude).", text=WORD)
    warning_seconds: int = neutral(
        120, "Seconds before the time limit at which a job saves and is requeued.", within=(1, 65_535)
    )
    max_attempts: int = neutral(100, "Attempts at a cell after which it is given up.", within=(1, 1_000_000))
    max_idle_attempts: int = neutral(
        5, "Attempts without progress, one after the other, after which it is given up.", within=(1, 1_000_000)
    )
    stuck_minutes: float = neutral(
        30.0,
        "Minutes without progress (no batch, no scored image, no copied file) after which an attempt is ended, with "
        "the stacks of its ranks in their logs; the cell goes on by itself. 0: never.",
        within=(0, 1_000_000),
    )
    save_behind: bool = neutral(
        True,
        "Checkpoints are written by a thread while training goes on, from a copy in the host's memory as large as the "
        "file; false: training waits, without a copy.",
    )
    rates: dict[str, float] = neutral(
        {},
        "GPU-seconds (without a GPU: core-seconds) an iteration by method, for prices: {gta: 1.9, any: 1.2}.",
        within=Span(0, 1_000_000, above=True),
    )
    stage: str | None = neutral(
        None,
        "Node-local folder that a cell's data are copied to once a node, and read from, in a folder of your own "
        "(gta-UID, mode 0700): /local/scratch/$USER.",
        text=PATH,
    )
    stage_digests: bool = neutral(False, "Whenever a cell starts, compare such a copy's contents, not its sizes alone.")
    cache: str | None = neutral(
        None,
        "Node-local folder (or one in memory: /dev/shm) in which decoded pictures are kept for all ranks and cells of "
        "the node, in a folder of your own (gta-UID, mode 0700): /local/scratch/$USER. null: none; it pays for large "
        "pictures.",
        text=PATH,
    )
    cache_gb: float = neutral(
        50.0,
        "GB that these take at most; all of Cityscapes with its masks takes 29.",
        within=Span(0, 1_000_000, above=True),
    )
    live_tracking: bool = neutral(
        False,
        "Cells send their journals to MLflow themselves while they train (to a server or PostgreSQL); "
        "else the launching process does, once a minute.",
    )
    setup: list[str] = neutral([], "Shell lines (bash) before the job's command (module load ...).", text=SCRIPT)
    setup_must_succeed: bool = neutral(True, "A setup line that fails ends the job; else the job goes on without it.")
    gpu_must_be_seen: bool = neutral(
        True, "Where the job asks for GPUs and device is auto, a cell to which PyTorch shows none fails; else: the CPU."
    )
    sbatch: dict[str, str] = neutral(
        {}, "Any sbatch option, by its long name: {nice: 100}; it counts more than a field that asks for the same."
    )


@dataclass(frozen=True, kw_only=True)
class PathsConfig:
    data: str = neutral("data", "Folder of data sets.", text=PATH)
    splits: str = neutral("splits", "Working folder of split lists.", text=PATH)
    runs: str = neutral("runs", "Folder of cells and sweeps.", text=PATH)
    results: str = neutral("results", "Folder of finished tables.", text=PATH)
    weights: str = neutral("weights", "Folder of initial weights.", text=PATH)
    tracking_uri: str = neutral("sqlite:///${paths.runs}/mlflow.db", "MLflow tracking URI.", text=WORDS)


@dataclass(frozen=True, kw_only=True)
class Config:
    """One cell: everything that `gta.train.run.train` needs."""

    method: MethodConfig = result(MethodConfig, "The method and its settings.")
    data: DataConfig = result(DataConfig, "The data set.")
    model: ModelConfig = result(ModelConfig, "The network.")
    schedule: ScheduleConfig = result(ScheduleConfig, "Optimisation and evaluation.")
    evaluation: EvaluationConfig = result(EvaluationConfig, "The protocol by which networks are scored.")
    site: SiteConfig = neutral(SiteConfig, "The machine.")
    paths: PathsConfig = neutral(PathsConfig, "Where things are.")
    seed: int = result(0, "Seed of everything that is drawn.", within=SEEDS)
    precision: str = result("fp32", "fp32, or bf16 (autocast).", choices=PRECISIONS)
    deterministic: bool = result(
        True,
        "On a GPU steps take deterministic kernels, cuDNN's and PyTorch's; an operation that has none may still vary "
        "in last digits. false: the fastest, which cuDNN finds by trying, so that two runs of one config, and a "
        "resumed one, differ in last digits.",
        later=True,
    )
    tf32: str = result(
        CONVOLUTIONS,
        "What a GPU computes in TF32 (10 bits of mantissa) where it is float32: none, convolutions (PyTorch's own "
        "choice), or all, matrix products too.",
        choices=TF32,
        later=True,
    )
    compile: bool = result(
        False,
        "Encoder stages (transformer blocks) and the widest part of the decoder run as PyTorch's compiler makes them, "
        "in training: the same maths, rounded otherwise. A run begins a minute or more later, unless another one "
        "compiled the same.",
        later=True,
    )
    num_threads: int = result(
        1, "Intra-op CPU threads of a rank: the order of sums, and so a result on CPU, depends on it.", within=(1, 1024)
    )
    variant: str = neutral(
        "", "What makes the cell's grid another than its sweep's file declares; the program finds that out.", text=LINE
    )
    sweep_name: str = neutral(UNNAMED, "The sweep (table) that asked for this cell.", text=NAME)
