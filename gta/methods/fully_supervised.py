"""Supervised training with the labels of ALL training images: the upper bound of a table."""

from __future__ import annotations

from gta.methods.base import Method
from gta.methods.settings import FullySupervisedConfig


class FullySupervised(Method):
    """`Supervised` on the union of the labeled and the unlabeled list, whose masks must then be there.

    As many steps as every other row. The union is the same for every split, so that one column of the table says it.
    """

    Config = FullySupervisedConfig
    uses_all_labels = True
