"""Supervised training with the labels of ALL training images: the upper bound of a table."""

from __future__ import annotations

from dataclasses import dataclass

from gta.config import MethodConfig
from gta.fields import result
from gta.methods.base import Method


@dataclass(frozen=True, kw_only=True)
class FullySupervisedConfig(MethodConfig):
    name: str = result("fully_supervised", "Key of the method in gta.methods.METHODS.")


class FullySupervised(Method):
    """`Supervised` on the union of the labeled and the unlabeled list, whose masks must then be there.

    As many steps as every other row. The union is the same for every split, so that one column of the table says it.
    """

    Config = FullySupervisedConfig
    uses_all_labels = True
