"""The typed schema of one cell's configuration: plain dataclasses, importable without Hydra or torch.

Every field says what it is and, by `result` or `neutral`, whether it can change a result. The settings of a method live
beside the method (`gta/methods/*.py`, its `Config`), on top of `MethodConfig`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gta.fields import neutral, result

PRECISIONS = ("fp32", "bf16")
MISSING = "???"  # OmegaConf's mark for a value that must be given


@dataclass(frozen=True, kw_only=True)
class MethodConfig:
    """Of a method also what it is, whatever its settings; its class has the same (`gta.methods.base.Method`)."""

    uses_unlabeled: ClassVar[bool] = False
    maths: ClassVar[int] = 1

    name: str = result(MISSING, "Key of the method in gta.methods.METHODS.")
    label: str = neutral("", "Row name in tables; empty: the method's name.")


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """Weak view: scale, crop, flip (and brightness, where asked for). Strong view: then jitter, grayscale and blur."""

    scale_min: float = result(0.5, "Smallest factor of the random rescaling.")
    scale_max: float = result(
        2.0, "Largest factor; half the draws are uniform below 1 and half above where the range spans 1."
    )
    flip: bool = result(True, "Horizontal flip with probability 0.5.")
    weak_brightness: float = result(0.0, "Weak view: brightness factor drawn from 1 +- this, for every training image.")
    jitter_probability: float = result(0.8, "Strong view: probability of the colour jitter.", within=(0, 1))
    brightness: float = result(0.5, "Strong view: brightness factor drawn from 1 +- this.")
    contrast: float = result(0.5, "Strong view: contrast factor drawn from 1 +- this.")
    saturation: float = result(0.5, "Strong view: saturation factor drawn from 1 +- this.")
    hue: float = result(0.25, "Strong view: hue shift drawn from +- this, as a fraction of the colour circle.")
    grayscale_probability: float = result(0.2, "Strong view: probability of turning gray.", within=(0, 1))
    blur_probability: float = result(0.5, "Strong view: probability of a Gaussian blur.", within=(0, 1))
    blur_sigma_max: float = result(2.0, "Strong view: sigma in pixels is uniform in 0.1 to this.")


@dataclass(frozen=True, kw_only=True)
class ShapesConfig:
    """The embedded, generated data set. Every option belongs to the identity of what is trained on it."""

    train: int = result(400, "Number of training images.")
    val: int = result(200, "Number of validation images.")
    size: int = result(48, "Side of the square images in pixels.")
    seed: int = result(0, "Seed of the generator.")
    min_objects: int = result(1, "Fewest objects in a picture.")
    max_objects: int = result(4, "Most objects in a picture.")
    hue_spread: float = result(0.05, "Standard deviation of an object's hue around that of its class.")
    noise: float = result(0.15, "Standard deviation of the pixel noise, of full range.")
    illumination: float = result(0.8, "Strength of the light gradient across a picture.")
    background_saturation: float = result(0.3, "Saturation of the background.")


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Images, index masks and id lists: the whole description of a data set."""

    name: str = result(MISSING, "Name of the data set in tables and folders.")
    root: str = neutral(
        "${paths.data}/${data.name}", "Folder of the data set; never written to (but for generated data)."
    )
    images: str = result("JPEGImages", "Folder of the images below the root.")
    image_suffix: str = result(
        ".jpg", "What follows an id in an image's file name; several with spaces between, capital letters or not."
    )
    image_range: list[float] = result(
        [],
        "Values [black, white] of images with more than 8 bits a channel (16-bit, float), which are scaled to 8 bits, "
        "what lies outside cut; empty: such images are refused.",
    )
    masks: str = result("SegmentationClass", "Folder of the index masks below the root.")
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
    )
    colour_map: list[list[int]] = result(
        [],
        "Rows [red, green, blue, class index or ignore_index] of masks whose colours are the classes; a colour in no "
        "row is an error. Empty: masks are index masks.",
    )
    classes: list[str] = result([], "Class names in index order; their number is num_classes.")
    allow_absent_classes: bool = neutral(
        False, "Train also where the labeled or the validation masks show nothing of a class; else that is an error."
    )
    palette: list[list[int]] = neutral([], "RGB colour of each class, for pictures; empty: the VOC colours.")
    ignore_index: int = result(255, "Mask value that counts nowhere; padding gets it too.")
    mean: list[float] = result(
        [0.485, 0.456, 0.406], "Channel means (RGB, 0 to 1) for normalisation; padding has this colour."
    )
    std: list[float] = result([0.229, 0.224, 0.225], "Channel standard deviations for normalisation.")
    train_list: str = neutral(
        "ImageSets/Segmentation/train.txt", "All training ids, below the root; what split lists are drawn from."
    )
    val_list: str = neutral(
        "ImageSets/Segmentation/val.txt",
        "Validation ids, below the root; {split_dir}/val.txt: beside the splits (its digest is in the signature).",
    )
    split: str = neutral(
        MISSING,
        "Name of the split: the folder with labeled.txt and unlabeled.txt (their digests are in the signature).",
    )
    unlabeled_root: str = neutral(
        "",
        "A folder, or a glob (/more/**/*.jpg), of images without masks that are unlabeled too, without a list (a "
        "digest of their names and sizes, and of some contents, is in the signature). What the lists name already is "
        "left out. With split=all the whole train list is labeled, and these alone are unlabeled.",
    )
    split_family: str = neutral(
        "seed0", "Who drew the lists: seedN is drawn by this program with seed N; else a public family (u2pl, ...)."
    )
    split_dir: str = neutral("${paths.splits}/${data.name}/${data.split_family}", "Folder that holds the splits.")
    ratio_base: int = neutral(
        0, "Ratios in tables are shares of so many images; 0: of the labeled and unlabeled ones together."
    )
    crop_size: int = result(MISSING, "Side of the square training crop in pixels, after input_scale.")
    input_scale: float = result(
        1.0, "Images enter the network at this fraction of their size; scores are at original size."
    )
    augment: AugmentConfig = result(AugmentConfig, "Random changes of training images.")
    generator: ShapesConfig | None = result(
        None, "Where set, the data set is generated with these options when it is absent."
    )


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """DeepLabV3+ over an encoder."""

    encoder: str = result(MISSING, "Key of the encoder in gta.models.ENCODERS.")
    width: int = result(0, "Base width of the tiny encoder; 0 for the others.")
    output_stride: int = result(16, "Input size over encoder output size: 8 or 16.", choices=(8, 16))
    decoder_channels: int = result(256, "Planes of ASPP branches, head and mask predictor.")
    aspp_rates: list[int] = result([6, 12, 18], "Dilations of the three 3x3 ASPP branches.")
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
        MISSING, "File with the encoder's initial weights (its sha256 is in the signature), or `random`."
    )
    weights_source: str = neutral("", "Where that file can be had; doctor says it where the file is not there.")


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    iterations: int = result(MISSING, "Optimizer steps in all; 0: as many as `epochs` are.")
    warm_up: int = result(
        0, "Steps of supervised training before the teacher (and the assistant) start as copies of the student."
    )
    epochs: int = result(
        0, "Length in epochs, each the unlabeled list once; 0: `iterations` says it. A frozen cell holds iterations."
    )
    warm_up_epochs: int = result(0, "Warm-up in epochs; 0: `warm_up` says it.")
    batch_size: int = result(MISSING, "GLOBAL number of labeled images a step, and of unlabeled images as well.")
    group_size: int = result(
        MISSING, "Images of a group: CutMix partners, percentiles and loss denominators stay inside it."
    )
    accumulate: int = result(
        1,
        "Gradient accumulation: parts (of whole groups) that a batch is cut into, so that the memory of one is enough; "
        "one optimizer step and EMA update for all. 1: none. BatchNorm normalises each part by itself, and its running "
        "statistics move once a part: with BatchNorm this is another result, without it the same.",
    )
    lr: float = result(MISSING, "Learning rate of the encoder at iteration 0.")
    lr_batch_size: int = result(
        0, "Where set, lr is meant for this global batch and grows in proportion to batch_size; 0: lr as it is."
    )
    decoder_lr_factor: float = result(1.0, "Learning rate of everything but the encoder, as a multiple of lr.")
    momentum: float = result(0.9, "SGD momentum.")
    weight_decay: float = result(1e-4, "SGD weight decay.")
    power: float = result(0.9, "lr(i) = lr (1 - i / iterations) ** power, on every optimizer.")
    ema_decay: float = result(
        0.999, "Cap of the teacher's EMA decay; the decay is min(1 - 1/(k + 1), cap) at step k after the warm-up."
    )
    auxiliary_weight: float = result(0.4, "Weight of the auxiliary head's loss, where the model has one.")
    ohem_threshold: float = result(
        0.0,
        "Supervised losses keep labeled pixels whose class is no more probable than this (OHEM); 0: all of them.",
        within=(0, 1),
    )
    ohem_min_kept: int = result(100_000, "OHEM keeps at least so many labeled pixels of a group, the least probable.")
    eval_every: int = result(MISSING, "Iterations between evaluations (the best score is picked among them).")
    eval_images: int = result(0, "Score only the first so many validation images; 0: all of them.")
    checkpoint_every: int = neutral(200, "Iterations between checkpoints; a killed cell loses at most these.")
    log_every: int = neutral(20, "Iterations between journal lines.")


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
    crop: int = result(513, "Side of the center crop in pixels.")
    window: int = result(0, "Side of the sliding window in pixels; 0: data.crop_size.")
    stride: float = result(2 / 3, "Step of the sliding window, as a fraction of its side.")
    window_mean: str = result(
        "logits",
        "Averaged where sliding windows overlap: logits (as GTA-Seg, U2PL) or probabilities (AugSeg, UniMatch V2).",
        choices=("logits", "probabilities"),
    )
    scales: list[float] = result([1.0], "Sizes at which an image is seen, of its own; probabilities are averaged.")
    flip: bool = result(False, "Each image is seen mirrored as well; probabilities are averaged.")
    pictures: int = neutral(
        4, "The first so many validation images are kept as image, truth, prediction and error (last evaluation)."
    )


@dataclass(frozen=True, kw_only=True)
class SiteConfig:
    """What differs between machines and clusters."""

    device: str = neutral("auto", "cuda, cpu, or auto (cuda where there is one).", choices=("auto", "cpu", "cuda"))
    workers: int = neutral(2, "Data-loading processes a rank; 0 loads in the training process.")
    cells_at_once: int = neutral(
        0, "Local launcher: cells that run at the same time; 0: as many as cores over threads."
    )
    ranks: int = neutral(1, "Processes a node for one cell (one a GPU).")
    nodes: int = neutral(1, "Nodes of one cell.")
    partition: str | None = neutral(None, "Slurm partition.")
    account: str | None = neutral(None, "Slurm account.")
    qos: str | None = neutral(None, "Slurm quality of service.")
    gpus_per_node: int | None = neutral(None, "GPUs a node.")
    gpu_type: str | None = neutral(None, "Kind of these GPUs, as the cluster calls it (a100); null: any.")
    cpus_per_rank: int = neutral(1, "CPUs a rank.")
    mem_gb: int | None = neutral(None, "Memory of a node's job in GB; null: the cluster's default.")
    time_limit: int = neutral(1440, "Minutes a job may run.")
    array_parallelism: int = neutral(256, "Most jobs of a sweep's array that run at the same time.")
    cells_per_gpu: int = neutral(1, "Cells of one rank that a Slurm job runs at once on its GPU.")
    constraint: str | None = neutral(None, "Features that a node must have (sbatch --constraint).")
    exclude: str | None = neutral(None, "Nodes to keep away from (sbatch --exclude).")
    warning_seconds: int = neutral(120, "Seconds before the time limit at which a job saves and is requeued.")
    max_attempts: int = neutral(100, "Attempts at a cell after which it is given up.")
    max_idle_attempts: int = neutral(5, "Attempts without progress, one after the other, after which it is given up.")
    stuck_minutes: float = neutral(
        30.0,
        "Minutes without progress (no batch, no scored image, no copied file) after which an attempt is ended, with "
        "the stacks of its ranks in their logs; the cell goes on by itself. 0: never.",
    )
    rates: dict[str, float] = neutral(
        {}, "GPU-seconds (without a GPU: core-seconds) an iteration by method, for prices: {gta: 1.9, any: 1.2}."
    )
    stage: str | None = neutral(
        None,
        "Node-local folder that a cell's data are copied to once a node, and read from, in a folder of your own "
        "(gta-UID, mode 0700): /local/scratch/$USER.",
    )
    stage_digests: bool = neutral(
        False, "Compare the contents of such a copy, too, whenever a cell starts, not its files' sizes alone."
    )
    live_tracking: bool = neutral(
        False,
        "Cells send their journals to MLflow themselves while they train (to a server or PostgreSQL); "
        "else the launching process does, once a minute.",
    )
    setup: list[str] = neutral([], "Shell lines (bash) before the job's command (module load ...).")
    setup_must_succeed: bool = neutral(True, "A setup line that fails ends the job; else the job goes on without it.")
    gpu_must_be_seen: bool = neutral(
        True, "Where the job asks for GPUs and device is auto, a cell to which PyTorch shows none fails; else: the CPU."
    )
    sbatch: dict[str, str] = neutral(
        {}, "Any sbatch option, by its long name: {nice: 100}; it counts more than a field that asks for the same."
    )


@dataclass(frozen=True, kw_only=True)
class PathsConfig:
    data: str = neutral("data", "Folder of data sets.")
    splits: str = neutral("splits", "Working folder of split lists.")
    runs: str = neutral("runs", "Folder of cells and sweeps.")
    results: str = neutral("results", "Folder of finished tables.")
    weights: str = neutral("weights", "Folder of initial weights.")
    tracking_uri: str = neutral("sqlite:///${paths.runs}/mlflow.db", "MLflow tracking URI.")


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
    seed: int = result(0, "Seed of everything that is drawn.")
    precision: str = result("fp32", "fp32, or bf16 (autocast).", choices=PRECISIONS)
    num_threads: int = result(
        1, "Intra-op CPU threads of a rank: the order of sums, and so a result on CPU, depends on it."
    )
    sweep_name: str = neutral("none", "The sweep (table) that asked for this cell.")
