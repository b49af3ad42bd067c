"""Validation pictures of a table's methods side by side: image, truth, then what each of them says."""

from __future__ import annotations

import base64
import io
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from markupsafe import Markup
from PIL import Image

from analysis.entry import TableEntry
from analysis.render import layout
from analysis.report.history import RunHistory, picture_id
from analysis.report.page import fragments
from analysis.table import Table
from gta.colours import class_colours

FIRST = 2  # images from the head of the list, beside the median and the worst
WIDEST = 320  # pixels of an embedded panel
_RIGHT, _WRONG = (255, 255, 255), (204, 0, 0)  # of the error panel (gta.train.artifacts)


@dataclass
class Shot:
    """One validation image: the file of it of each row; `right`: the share of its pixels that a row has right."""

    name: str
    files: dict[str, Path] = field(default_factory=dict)
    right: dict[str, float] = field(default_factory=dict)

    @property
    def mean(self) -> float:
        return sum(self.right.values()) / len(self.right)


def pictures(recorded: RunHistory, table: Table, column: str) -> Markup:
    with tempfile.TemporaryDirectory() as folder:
        shots, seeds, signature = _collect(recorded, table, column, Path(folder))
        if not shots:
            return fragments.said("Left out: MLflow has no pictures of these runs (made before they were recorded).")
        chosen = choose(shots)
        parts = [fragments.panel(f"{title}: {shot.name}", _shown(shot)) for title, shot in chosen]
    text = (
        f"{layout.clean(column)} labels, seed {', '.join(map(str, sorted(seeds)))}, last evaluation: of the "
        f"{len(shots)} recorded validation images the first, the median and the worst by the share of right pixels, "
        "mean over the methods. Below each prediction is its error: white is right, red is wrong, gray is ignored."
    )
    return fragments.said(text) + _legend(recorded, table, signature) + Markup("").join(parts)


def _collect(recorded: RunHistory, table: Table, column: str, folder: Path) -> tuple[list[Shot], set[int], str]:
    """The images in the list's order, of the first seed of each row that has any; the seeds; a cell that has them."""
    shots: dict[str, Shot] = {}
    seeds, last = set(), ""
    for row in table.rows:
        for score in table.entries.get((row, column), TableEntry()).done:
            found = recorded.pictures(score.cell.signature, folder / score.cell.signature)
            for path in found:
                shot = shots.setdefault(picture_id(path), Shot(picture_id(path)))
                shot.files[row], shot.right[row] = path, right_pixels(path)
            if found:
                seeds.add(score.cell.seed)
                last = last or score.cell.signature
                break
    return list(shots.values()), seeds, last


def choose(shots: Sequence[Shot]) -> list[tuple[str, Shot]]:
    """(why, image) of those to show, each once: the first ones, the median and the worst of all."""
    ranked = sorted(shots, key=lambda shot: shot.mean)
    wanted = [("First" if i == 0 else f"Number {i + 1}", shot) for i, shot in enumerate(shots[:FIRST])]
    wanted += [("Median", ranked[(len(ranked) - 1) // 2]), ("Worst", ranked[0])]
    found: dict[str, tuple[str, Shot]] = {}
    for title, shot in wanted:
        said = f"{found[shot.name][0]} and {title.lower()}" if shot.name in found else title
        found[shot.name] = (said, shot)
    return list(found.values())


def right_pixels(path: Path) -> float:
    """The share, in percent, of the pixels that count in the picture's error panel and are right; 0 where none does."""
    pixels = np.asarray(_panel(path, 3))
    right, wrong = (int((pixels == colour).all(-1).sum()) for colour in (_RIGHT, _WRONG))
    return 100 * right / (right + wrong) if right + wrong else 0.0


def _shown(shot: Shot) -> Markup:
    first = next(iter(shot.files.values()))
    tiles = [
        fragments.tile([embedded(first, 0, f"Image {shot.name}")], "image", ""),
        fragments.tile([embedded(first, 1, f"Image {shot.name}: truth")], "truth", ""),
    ]
    for row, path in shot.files.items():
        name = layout.clean(row)
        panels = [
            embedded(path, 2, f"Image {shot.name}: prediction of {name}"),
            embedded(path, 3, f"Image {shot.name}: where {name} is wrong"),
        ]
        tiles.append(fragments.tile(panels, f"{name}, {shot.right[row]:.1f} % right", name))
    return fragments.panels(tiles, "picture")


def _panel(path: Path, place: int) -> Image.Image:
    with Image.open(path) as opened:
        side = opened.width // 4
        return opened.convert("RGB").crop((place * side, 0, (place + 1) * side, opened.height))


def embedded(path: Path, place: int, alt: str) -> dict[str, object]:
    """A panel as it stands in the page: as PNG; what is large scaled down, a photograph as JPEG."""
    picture = _panel(path, place)
    large = picture.width > WIDEST
    if large:
        size = (WIDEST, max(1, round(picture.height * WIDEST / picture.width)))
        picture = picture.resize(size, Image.Resampling.LANCZOS if place == 0 else Image.Resampling.NEAREST)
    out = io.BytesIO()
    photo = large and place == 0
    if photo:
        picture.save(out, "JPEG", quality=85)
    else:
        few = picture.quantize(256, dither=Image.Dither.NONE) if place else picture  # the colours of classes
        few.save(out, "PNG", optimize=True)
    data = base64.b64encode(out.getvalue()).decode()
    return {"source": f"data:image/{'jpeg' if photo else 'png'};base64,{data}", "photo": photo, "alt": alt}


def _legend(recorded: RunHistory, table: Table, signature: str) -> Markup:
    found = recorded.confusion(signature)
    if found is None:
        return Markup("")
    colours = class_colours(recorded.palette(signature), len(found.classes))
    return fragments.legend(list(zip(map(layout.clean, found.classes), colours, strict=True)))
