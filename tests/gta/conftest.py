"""A real MLflow store for the tests of a module."""

from __future__ import annotations

import shutil

import pytest

from gta.tracking import store


@pytest.fixture(scope="module")
def uri(tmp_path_factory, empty_store):
    path = shutil.copy(empty_store, tmp_path_factory.mktemp("store") / "mlflow.db")
    store.create(f"sqlite:///{path}")
    return f"sqlite:///{path}"


@pytest.fixture(scope="module")
def client(uri):
    return store.connect(uri)
