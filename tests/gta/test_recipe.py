"""How cells are trained, in words: the views too, by the names that conf/augment gives them."""

from __future__ import annotations

import pytest

from gta import recipe
from gta.compose import compose
from gta.compose.hydra import ConfigLoaderImpl
from gta.config import AugmentConfig
from tests.helpers.cells import config
from tests.helpers.configs import changed

SHIPPED = {path.stem for path in (compose.CONF / "augment").glob("*.yaml")}
TOGETHER = {"gta": "gta/u2pl", "u2pl": "gta/u2pl", "unimatch": "unimatch", "unimatch_v2": "unimatch"}


@pytest.mark.parametrize("name", sorted(SHIPPED - {"plain"}))
def test_a_shipped_set_of_views_has_its_name(name: str, loader: ConfigLoaderImpl) -> None:
    """A file that is changed has another digest: put what `views` says of it into `gta.recipe`."""
    made = compose.Composer(loader).cell(["data=voc_classic", f"augment={name}"])
    assert recipe.views(made.data.augment) == f"views {TOGETHER.get(name, name)}"


@pytest.mark.parametrize("name", ["shapes", "camvid"])
def test_a_data_sets_own_views_are_not_worth_a_word(name: str, loader: ConfigLoaderImpl) -> None:
    made = compose.Composer(loader).cell([f"data={name}"])
    assert recipe.views(made.data.augment) == f"views {name}"
    assert "views" not in recipe.line([made])


def test_pictures_that_the_network_sees_smaller_are_told() -> None:
    assert "; crop 32; " in recipe.line([config()])
    assert "; crop 32 of images at 0.5 of their size; " in recipe.line([changed(config(), {"data.input_scale": 0.5})])


def test_views_are_shown_where_somebody_chose_them_or_cells_differ() -> None:
    plain, own = config(), changed(config(), {"data.augment.scale_max": 1.5})
    assert recipe.views(AugmentConfig()) == "plain views"
    assert "views" not in recipe.line([plain])
    assert f"; {recipe.views(own.data.augment)}. Data" in recipe.line([own]), "nobody else has these"
    assert f"; plain views or {recipe.views(own.data.augment)}. Data" in recipe.line([plain, own])
    assert recipe.remarkable(["views augseg"])
