"""Which cause an exception inside a cell is."""

from __future__ import annotations

import errno

import pytest
import torch

from gta.cellfolder import Death
from launch.state.policy import of_exception


def test_memory_that_cannot_be_had_on_a_cpu_is_memory() -> None:
    """torch raises a RuntimeError, and no MemoryError."""
    with pytest.raises(RuntimeError) as failed:
        torch.empty(2**60, dtype=torch.uint8)
    assert of_exception(failed.value) is Death.MEMORY


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (MemoryError(), Death.MEMORY),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."), Death.MEMORY),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), Death.MEMORY),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), Death.MEMORY),
        (RuntimeError("std::bad_alloc"), Death.MEMORY),
        (RuntimeError("boom"), Death.EXCEPTION),
        (ValueError("the list named 'out of memory' has no images"), Death.EXCEPTION),
    ],
)
def test_causes(error: BaseException, cause: Death) -> None:
    assert of_exception(error) is cause
