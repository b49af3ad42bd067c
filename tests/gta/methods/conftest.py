"""Small methods and batches for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gta.methods import Method
from gta.ops.batch import Labeled, Unlabeled
from tests.helpers.methods import make_batch, make_method, train

pytest.register_assert_rewrite("tests.helpers.method_contract")


@pytest.fixture(scope="session")
def make() -> Callable[..., Method]:
    return make_method


@pytest.fixture(scope="session")
def batch() -> Callable[..., tuple[Labeled, Unlabeled]]:
    return make_batch


@pytest.fixture(scope="session")
def run() -> Callable[[Method, int, int], list[dict[str, float]]]:
    return train
