"""Makes a data set ready to load: generates it if need be, checks its layout, draws its own splits."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from gta.config import DataConfig, ShapesConfig
from gta.data.spec import check_layout, own_ratio, own_seed, split_folder
from gta.data.splits.draw import draw
from gta.errors import UserError
from gta.files import make_folder

MADE_WITH = "generated.json"  # in the data set: the options it was generated with
VERSION = 1  # of the generator: raise it when the same options come to mean other pictures


def prepare(config: DataConfig) -> None:
    """Generate, check and draw, as far as it is needed; several processes may do it at once.

    Only a generated data set is ever written to, and only when it is absent. Lists are drawn (`splits.draw`)
    when the family is one of ours (`seed0`) and the folder of a ratio (`1_8`) is absent. Raises UserError for
    what is missing, and for a generated data set that was made with other options.
    """
    if config.generator is not None:
        make_shapes(config.generator, Path(config.root))
    check_layout(config)
    ratio, seed = own_ratio(config), own_seed(config)
    if ratio is not None and seed is not None and not split_folder(config).is_dir():
        draw(config, [ratio], seed)


def make_shapes(options: ShapesConfig, root: Path) -> bool:
    """Generate the shapes data set at `root` where it is absent; True when this call made it.

    It is made beside its place and appears whole, by a rename, which is said: a mistyped root is generated into, too.
    Raises UserError where something else is there, and where more than one folder above it would have to be made.
    """
    if _is_there(options, root):
        return False
    above = root.absolute().parent
    if not above.parent.is_dir():
        raise UserError(
            f"The data set would be generated in {root}, and not even {above.parent} is there: make {above}, or name "
            "another place (data.root=FOLDER, or paths.data=FOLDER for all data sets)."
        )
    from gta.data.shapes import generate  # OpenCV

    def fill(folder: Path) -> None:
        generate(options, folder)
        (folder / MADE_WITH).write_text(json.dumps(_made_with(options), indent=2) + "\n", encoding="utf-8")

    made = make_folder(root, fill)
    if made:
        print(f"Made the generated data set in {root}.", file=sys.stderr, flush=True)
    else:
        _is_there(options, root)  # another process was first; raises where it made something else
    return made


def _made_with(options: ShapesConfig) -> dict[str, object]:
    return {"generator": "shapes", "version": VERSION, "options": asdict(options)}


def _is_there(options: ShapesConfig, root: Path) -> bool:
    """Whether `root` holds the data set of exactly these options; UserError where it holds something else."""
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    try:
        found = json.loads((root / MADE_WITH).read_text(encoding="utf-8"))
        options_found = dict(found["options"])
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(
            f"{root} was not made by this program (no {MADE_WITH} in it): name another with data.root=FOLDER."
        ) from None
    if found == _made_with(options):
        return True
    mine = asdict(options)
    names = sorted(k for k in {*mine, *options_found} if mine.get(k) != options_found.get(k))
    changed = ", ".join(f"{k} {options_found.get(k)} there, {mine.get(k)} wanted" for k in names)
    raise UserError(
        f"{root} was generated with other options ({changed or 'by another version'}): remove it, or name "
        "another place with data.root=FOLDER."
    )
