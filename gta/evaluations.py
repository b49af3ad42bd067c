"""What a trained cell scores by any protocol: a file an evaluation, beside the result that training left.

    evaluations/NAME.json     `Evaluation`: one network of the cell by one protocol
    evaluations/NAME.npz      `ByImage`: of the same, the pixels of each image and class (where they were asked for)

NAME is made of protocol, network, which weights, and a digest of the protocol in words, so that the same evaluation
takes the same place. `gta eval` writes them, training does where `evaluation.by_image` is set. One that cannot be read
counts as absent: nothing but time is lost.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from gta.cellfolder import CellFolder, readable
from gta.files import replacing
from gta.jsonrecord import UNREAD, BrokenRecord, JsonRecord

if TYPE_CHECKING:
    import numpy as np

_AGAIN = "`gta eval CELL` makes it again"
OTHER_LIST = "has other images than the val list that the cell was frozen with"  # the reason of a `BrokenRecord`


@dataclass(frozen=True, kw_only=True)
class Evaluation(JsonRecord):
    """evaluations/NAME.json: what `network` of the cell scores. `which`: its weights of the last iteration, or the best
    ones (by the evaluations of training); `iteration`: which they are from. `evaluation`: the protocol in words,
    `settings`: in settings. `images`: how many were scored; `miou` and `iou` (by class; None: occurs nowhere) in
    percent. `commit`: of the code that scored; `finished`: unix seconds; `by_image`: whether there is a `ByImage`.
    """

    REMEDY: ClassVar[str] = _AGAIN

    signature: str
    network: str
    which: str
    iteration: int
    evaluation: str
    settings: dict[str, str]
    images: int
    classes: list[str]
    miou: float
    iou: list[float | None]
    commit: str | None
    finished: float
    by_image: bool = False

    def __post_init__(self) -> None:
        if "evaluation.protocol" not in self.settings or len(self.iou) != len(self.classes):
            raise ValueError("an evaluation names its protocol, and has an IoU for each class")

    @property
    def name(self) -> str:
        return name_of(self.settings["evaluation.protocol"], self.evaluation, self.network, self.which)


def name_of(protocol: str, words: str, network: str, which: str) -> str:
    """The name of an evaluation's files."""
    digest = hashlib.sha256(f"{words}\n{network}".encode()).hexdigest()[:8]
    return re.sub(r"[^\w.-]", "_", f"{protocol}-{network}-{which}-{digest}")


@dataclass(frozen=True)
class ByImage:
    """Pixels of each image and class: `intersection` and `union` of truth and prediction, (images, classes) int64, and
    the `ids` of the images, in the order of the validation list. Ignored pixels are in none. Summed over images, the
    IoU of a class is its intersection over its union.
    """

    ids: list[str]
    intersection: np.ndarray
    union: np.ndarray


def find(
    folder: CellFolder, protocol: str, words: str, network: str, which: str, iteration: int | None = None
) -> Evaluation | None:
    """The evaluation of that network by that protocol in words, of that iteration where one is said; None where there
    is none that can be read.
    """
    name = name_of(protocol, words, network, which)
    found = readable(lambda: Evaluation.read(folder.evaluation_file(name)), say=lambda _: None)
    fits = found is not None and (found.signature, found.name) == (folder.signature, name)
    return found if fits and iteration in (None, found.iteration if found else None) else None


def all_of(folder: CellFolder, certain: bool = False) -> list[Evaluation]:
    """The evaluations of a cell that can be read, by their names. `certain`: raises BrokenRecord where the system does
    not give what is there (a file server that does not answer, say), which is no word on what the cell has.
    """
    found = []
    try:
        names = sorted(os.listdir(folder.evaluations_folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        if certain:
            raise BrokenRecord(folder.evaluations_folder, f"{UNREAD}{error.strerror})", _AGAIN) from None
        return []
    for name in (name.removesuffix(".json") for name in names if name.endswith(".json")):
        try:
            one = Evaluation.read(folder.evaluation_file(name))
        except BrokenRecord as error:
            if certain and error.reason.startswith(UNREAD):
                raise
            continue
        if one is not None and (one.signature, one.name) == (folder.signature, name):
            found.append(one)
    return found


def write(folder: CellFolder, evaluation: Evaluation, by_image: ByImage | None) -> None:
    """Write an evaluation in place of an older one, each file atomically; the record, which vouches for both, last."""
    import numpy as np

    counts = folder.by_image_file(evaluation.name)
    if by_image is not None:
        assert int(by_image.union.max(initial=0)) < 2**32, "pixels of one image"
        ids = np.array(by_image.ids, dtype=np.str_)
        narrow = [one.astype(np.uint32) for one in (by_image.intersection, by_image.union)]
        with replacing(counts) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, ids=ids, intersection=narrow[0], union=narrow[1])
    evaluation.write(folder.evaluation_file(evaluation.name))
    if by_image is None:
        counts.unlink(missing_ok=True)


def forget(folder: CellFolder) -> None:
    """Remove what was scored: the cell is trained again, and its networks will be others. For who has the cell."""
    for pattern in ("*.json", "*.npz"):
        for path in folder.evaluations_folder.glob(pattern):
            path.unlink(missing_ok=True)


def read_by_image(folder: CellFolder, evaluation: Evaluation) -> ByImage | None:
    """What the evaluation counted in each image; None where that was not kept. Raises BrokenRecord for a file that is
    not what the evaluation is of, and for one of other images than those of the list that the cell was frozen with.
    """
    import numpy as np

    path = folder.by_image_file(evaluation.name)
    if not evaluation.by_image:
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            ids = [str(name) for name in file["ids"]]
            found = ByImage(ids, file["intersection"].astype(np.int64), file["union"].astype(np.int64))
    except Exception as error:  # cut off, no such file, another kind of file: numpy and zlib raise all sorts
        raise BrokenRecord(path, f"cannot be read ({type(error).__name__})", _AGAIN) from None
    shape = (evaluation.images, len(evaluation.classes))
    if len(ids) != shape[0] or found.intersection.shape != shape or found.union.shape != shape:
        raise BrokenRecord(path, "has other images or classes than its evaluation", _AGAIN)
    if _of_another_list(folder, ids):
        raise BrokenRecord(path, OTHER_LIST, _AGAIN)
    with np.errstate(invalid="ignore"):
        miou = 100 * float(np.nanmean(found.intersection.sum(0) / found.union.sum(0)))
    if not abs(miou - evaluation.miou) < 1e-6:
        raise BrokenRecord(path, f"has an mIoU of {miou:.4f}, and its evaluation {evaluation.miou:.4f}", _AGAIN)
    return found


def _of_another_list(folder: CellFolder, ids: list[str]) -> bool:
    """Whether the ids are not those of the val list that the cell's identity names by its digest: of all of it, or of
    as many images as its setting scores, whose ids alone no digest tells.
    """
    from gta.data.lists import digest

    cell = folder.identity()
    if cell is None or not (known := cell.digests.get("val")):
        return False
    if len(ids) == cell.val:
        return digest(ids) != known
    return str(len(ids)) != cell.params.get("schedule.eval_images")
