"""The typed schema of one cell's configuration: plain dataclasses, importable without Hydra or torch.

Every field says what it is, which values it may have and, by `result` or `neutral`, whether it can change a result. The
settings of a method are in `gta/methods/settings.py`, on top of `MethodConfig`. A range leaves room for what somebody
may want and none for what cannot be meant, or would end in a hang; a text is one line if nothing else is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gta.fields import neutral, result
from gta.ranges import INSIDE, MISSING, NAME, PATH, PATH_OR_EMPTY, SCRIPT, WORD, WORDS, Span

__all__ = ["MISSING"]

PRECISIONS = ("fp32", "bf16")
# ranges that several fields have
COUNTS, STEPS = (0, 1_000_000_000), (1, 1_000_000_000)
SEEDS = (0, 2**32 - 1)  # torch's generator on the CPU looks at 32 bits
BYTES = (0, 255)
SIDES = (16, 16_384)  # of what a network sees, in pixels; below 16 the encoders leave nothing to pool
WEIGHTS = (0, 10_000)  # factors of losses and learning rates


@dataclass(frozen=True, kw_only=True)
class MethodConfig:
    """Of a method also what it is, whatever its settings; its class has the same (`gta.methods.base.Method`)."""

    uses_unlabeled: ClassVar[bool] = False
    maths: ClassVar[int] = 1

    name: str = result(MISSING, "Key of the method in gta.methods.METHODS.", text=NAME)
    label: str = neutral("", "Row name in tables; empty: the method's name.")


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """Weak view: scale, crop, flip (and brightness, where asked for). Strong view: then jitter, grayscale and blur."""

    scale_min: float = result(0.5, "Smallest factor of the random rescaling.", within=(0.01, 100))
    scale_max: float = result(
        2.0,
        "Largest factor; half the draws are uniform below 1 and half above where the range spans 1.",
        within=(0.01, 100),
    )
    flip: bool = result(True, "Horizontal flip with probability 0.5.")
    weak_brightness: float = result(
        0.0, "Weak view: brightness factor drawn from 1 +- this, for every training image.", within=(0, 10)
    )
    jitter_probability: float = result(0.8, "Strong view: probability of the colour jitter.", within=(0, 1))
    brightness: float = result(0.5, "Strong view: brightness factor drawn from 1 +- this.", within=(0, 10))
    contrast: float = result(0.5, "Strong view: contrast factor drawn from 1 +- this.", within=(0, 10))
    saturation: float = result(0.5, "Strong view: saturation factor drawn from 1 +- this.", within=(0, 10))
    hue: float = result(
        0.25, "Strong view: hue shift drawn from +- this, as a fraction of the colour circle.", within=(0, 0.5)
    )
    grayscale_probability: float = result(0.2, "Strong view: probability of turning gray.", within=(0, 1))
    blur_probability: float = result(0.5, "Strong view: probability of a Gaussian blur.", within=(0, 1))
    blur_sigma_max: float = result(2.0, "Strong view: sigma in pixels is uniform in 0.1 to this.", within=(0, 100))


@dataclass(frozen=True, kw_only=True)
class ShapesConfig:
    """The embedded, generated data set. Every option belongs to the identity of what is trained on it."""

    train: int = result(400, "Number of training images.", within=(2, 100_000))
    val: int = result(200, "Number of validation images.", within=(1, 100_000))
    size: int = result(48, "Side of the square images in pixels.", within=(8, 2048))
    seed: int = result(0, "Seed of the generator.", within=SEEDS)
    min_objects: int = result(1, "Fewest objects in a picture.", within=(0, 1000))
    max_objects: int = result(4, "Most objects in a picture.", within=(1, 1000))
    hue_spread: float = result(0.05, "Standard deviation of an object's hue around that of its class.", within=(0, 1))
    noise: float = result(0.15, "Standard deviation of the pixel noise, of full range.", within=(0, 10))
    illumination: float = result(0.8, "Strength of the light gradient across a picture.", within=(0, 10))
    background_saturation: float = result(0.3, "Saturation of the background.", within=(0, 1))


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Images, index masks and id lists: the whole description of a data set."""

    name: str = result(MISSING, "Name of the data set in tables and folders.", text=NAME)
    root: str = neutral(
        "${paths.data}/${data.name}", "Folder of the data set; never written to (but for generated data).", text=PATH
    )
    images: str = result("JPEGImages", "Folder of the images below the root.", text=PATH)
    image_suffix: str = result(
        ".jpg", "What follows an id in an image's file name; several with spaces between, capital letters or not."
    )
    image_range: list[float] = result(
        [],
        "Values [black, white] of images with more than 8 bits a channel (16-bit, float), which are scaled to 8 bits, "
        "what lies outside cut; empty: such images are refused.",
        within=(-1e38, 1e38),
        count=(0, 2),
    )
    masks: str = result("SegmentationClass", "Folder of the index masks below the root.", text=PATH)
    mask_suffix: str = result(".png", "What follows an id in a mask's file name; as image_suffix.")
    nested: bool = neutral(
        False, "Images and masks may lie in sub-folders of their folders (one a city, say); ids stay file names."
    )
    ids: str = neutral(
        "name",
        "What an id is: name (of the file, without suffix), or path (with its sub-folders below images), for data in "
        "which two folders have files of one name.",
        choices=("name", "path"),
    )
    label_map: list[list[int]] = result(
        [],
        "Pairs [label in the files, class index or ignore_index]; a label in no pair is an error, but for "
        "ignore_index. Empty: labels are class indices.",
        within=BYTES,
        count=(0, 256),
    )
    colour_map: list[list[int]] = result(
        [],
        "Rows [red, green, blue, class index or ignore_index] of masks whose colours are the classes; a colour in no "
        "row is an error. Empty: masks are index masks.",
        within=BYTES,
    )
    classes: list[str] = result(
        [], "Class names in index order; their number is num_classes.", text=WORDS, count=(0, 254)
    )
    allow_absent_classes: bool = neutral(
        False, "Train also where the labeled or the validation masks show nothing of a class; else that is an error."
    )
    palette: list[list[int]] = neutral(
        [], "RGB colour of each class, for pictures; empty: the VOC colours.", within=BYTES
    )
    ignore_index: int = result(255, "Mask value that counts nowhere; padding gets it too.", within=BYTES)
    mean: list[float] = result(
        [0.485, 0.456, 0.406],
        "Channel means (RGB, 0 to 1) for normalisation; padding has this colour.",
        within=(0, 1),
        count=(3, 3),
    )
    std: list[float] = result(
        [0.229, 0.224, 0.225], "Channel standard deviations for normalisation.", within=(0.001, 10), count=(3, 3)
    )
    train_list: str = neutral(
        "ImageSets/Segmentation/train.txt",
        "All training ids, below the root; what split lists are drawn from.",
        text=PATH,
    )
    val_list: str = neutral(
        "ImageSets/Segmentation/val.txt",
        "Validation ids, below the root; {split_dir}/val.txt: beside the splits (its digest is in the signature).",
        text=PATH,
    )
    split: str = neutral(
        MISSING,
        "Name of the split: the folder with labeled.txt and unlabeled.txt (their digests are in the signature).",
        text=INSIDE,
    )
    unlabeled_root: str = neutral(
        "",
        "A folder, or a glob (/more/**/*.jpg), of images without masks that are unlabeled too, without a list (a "
        "digest of their names and sizes, and of some contents, is in the signature). What the lists name already is "
        "left out. With split=all the whole train list is labeled, and these alone are unlabeled.",
        text=PATH_OR_EMPTY,
    )
    split_family: str = neutral(
        "seed0",
        "Who drew the lists: seedN is drawn by this program with seed N; else a public family (u2pl, ...).",
        text=INSIDE,
    )
    split_dir: str = neutral(
        "${paths.splits}/${data.name}/${data.split_family}", "Folder that holds the splits.", text=PATH
    )
    ratio_base: int = neutral(
        0,
        "Ratios in tables are shares of so many images; 0: of the labeled and unlabeled ones together.",
        within=COUNTS,
    )
    crop_size: int = result(MISSING, "Side of the square training crop in pixels, after input_scale.", within=SIDES)
    input_scale: float = result(
        1.0, "Images enter the network at this fraction of their size; scores are at original size.", within=(0.01, 10)
    )
    augment: AugmentConfig = result(AugmentConfig, "Random changes of training images.")
    generator: ShapesConfig | None = result(
        None, "Where set, the data set is generated with these options when it is absent."
    )


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """DeepLabV3+ over an encoder."""

    encoder: str = result(MISSING, "Key of the encoder in gta.models.ENCODERS.", text=NAME)
    width: int = result(0, "Base width of the tiny encoder; 0 for the others.", within=(0, 1024))
    output_stride: int = result(16, "Input size over encoder output size: 8 or 16.", choices=(8, 16))
    decoder_channels: int = result(256, "Planes of ASPP branches, head and mask predictor.", within=(1, 4096))
    aspp_rates: list[int] = result(
        [6, 12, 18], "Dilations of the three 3x3 ASPP branches.", within=(1, 256), count=(1, 16)
    )
    dropout: float = result(0.1, "Dropout2d probability in the head and the mask predictor.", within=(0, 1))
    auxiliary: bool = result(False, "An auxiliary head on layer3, trained with schedule.auxiliary_weight.")
    stem: str = result(
        "deep", "Stem of a ResNet: deep (three 3x3 convolutions) or plain (one 7x7).", choices=("deep", "plain")
    )
    memory_format: str = result(
        "contiguous",
        "How feature maps lie in memory: contiguous (NCHW), or channels_last (NHWC): faster in large networks; the "
        "same maths, rounded otherwise.",
        choices=("contiguous", "channels_last"),
    )
    weights: str = neutral(
        MISSING, "File with the encoder's initial weights (its sha256 is in the signature), or `random`.", text=PATH
    )
    weights_source: str = neutral("", "Where that file can be had; doctor says it where the file is not there.")


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    iterations: int = result(MISSING, "Optimizer steps in all; 0: as many as `epochs` are.", within=COUNTS)
    warm_up: int = result(
        0,
        "Steps of supervised training before the teacher (and the assistant) start as copies of the student.",
        within=COUNTS,
    )
    epochs: int = result(
        0,
        "Length in epochs, each the unlabeled list once; 0: `iterations` says it. A frozen cell holds iterations.",
        within=COUNTS,
    )
    warm_up_epochs: int = result(0, "Warm-up in epochs; 0: `warm_up` says it.", within=COUNTS)
    batch_size: int = result(
        MISSING, "GLOBAL number of labeled images a step, and of unlabeled images as well.", within=(1, 65_536)
    )
    group_size: int = result(
        MISSING,
        "Images of a group: CutMix partners, percentiles and loss denominators stay inside it.",
        within=(1, 65_536),
    )
    accumulate: int = result(
        1,
        "Gradient accumulation: parts (of whole groups) that a batch is cut into, so that the memory of one is enough; "
        "one optimizer step and EMA update for all. 1: none. BatchNorm normalises each part by itself, and its running "
        "statistics move once a part: with BatchNorm this is another result, without it the same.",
        within=(1, 65_536),
    )
    lr: float = result(MISSING, "Learning rate of the encoder at iteration 0.", within=Span(0, 1000, above=True))
    lr_batch_size: int = result(
        0,
        "Where set, lr is meant for this global batch and grows in proportion to batch_size; 0: lr as it is.",
        within=(0, 65_536),
    )
    decoder_lr_factor: float = result(
        1.0, "Learning rate of everything but the encoder, as a multiple of lr.", within=WEIGHTS
    )
    momentum: float = result(0.9, "SGD momentum.", within=Span(0, 1, below=True))
    weight_decay: float = result(1e-4, "SGD weight decay.", within=(0, 1))
    power: float = result(0.9, "lr(i) = lr (1 - i / iterations) ** power, on every optimizer.", within=(0, 100))
    ema_decay: float = result(
        0.999,
        "Cap of the teacher's EMA decay; the decay is min(1 - 1/(k + 1), cap) at step k after the warm-up.",
        within=(0, 1),
    )
    auxiliary_weight: float = result(
        0.4, "Weight of the auxiliary head's loss, where the model has one.", within=WEIGHTS
    )
    ohem_threshold: float = result(
        0.0,
        "Supervised losses keep labeled pixels whose class is no more probable than this (OHEM); 0: all of them.",
        within=(0, 1),
    )
    ohem_min_kept: int = result(
        100_000, "OHEM keeps at least so many labeled pixels of a group, the least probable.", within=COUNTS
    )
    eval_every: int = result(
        MISSING, "Iterations between evaluations (the best score is picked among them).", within=STEPS
    )
    eval_images: int = result(0, "Score only the first so many validation images; 0: all of them.", within=COUNTS)
    checkpoint_every: int = neutral(
        200, "Iterations between checkpoints; a killed cell loses at most these.", within=STEPS
    )
    log_every: int = neutral(20, "Iterations between journal lines.", within=STEPS)


ORIGINAL, SLIDING, CROP, CROP_BACKGROUND = PROTOCOLS = (
    "original_size",
    "sliding_window",
    "center_crop",
    "center_crop_padded_background",
)


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """How validation images are scored; `gta.train.inference` says what each protocol does."""

    protocol: str = result(
        "original_size",
        "original_size, sliding_window, center_crop (padding is ignored), or center_crop_padded_background "
        "(padding counts as class 0, as in the public code: only to compare with its numbers).",
        choices=PROTOCOLS,
    )
    crop: int = result(513, "Side of the center crop in pixels.", within=SIDES)
    window: int = result(
        0, "Side of the sliding window in pixels; 0: data.crop_size.", within=Span(*SIDES, or_zero=True)
    )
    stride: float = result(2 / 3, "Step of the sliding window, as a fraction of its side.", within=(0.1, 1))
    window_mean: str = result(
        "logits",
        "Averaged where sliding windows overlap: logits (as GTA-Seg, U2PL) or probabilities (AugSeg, UniMatch V2).",
        choices=("logits", "probabilities"),
    )
    scales: list[float] = result(
        [1.0],
        "Sizes at which an image is seen, of its own; probabilities are averaged.",
        within=(0.1, 10),
        count=(1, 32),
    )
    flip: bool = result(False, "Each image is seen mirrored as well; probabilities are averaged.")
    pictures: int = neutral(
        4,
        "The first so many validation images are kept as image, truth, prediction and error (last evaluation).",
        within=(0, 10_000),
    )


@dataclass(frozen=True, kw_only=True)
class SiteConfig:
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
    array_parallelism: int = neutral(
        256, "Most jobs of a sweep's array that run at the same time.", within=(1, 1_000_000)
    )
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
    stage_digests: bool = neutral(
        False, "Compare the contents of such a copy, too, whenever a cell starts, not its files' sizes alone."
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
    num_threads: int = result(
        1, "Intra-op CPU threads of a rank: the order of sums, and so a result on CPU, depends on it.", within=(1, 1024)
    )
    sweep_name: str = neutral("none", "The sweep (table) that asked for this cell.", text=NAME)
