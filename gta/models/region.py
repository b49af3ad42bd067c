"""Parts of a network that PyTorch's compiler takes as one each (`compile=true`), by the same code in every network.

Regions and not the whole step: what draws dropout, hooks into a network or averages weights stays as it is, a network's
parts of one shape share what was compiled, and compiling takes a fraction of the time. No parameter changes its name.
"""

from __future__ import annotations

from functools import cache

from torch import Tensor, nn

BACKEND = "inductor"
MOST = 256  # compiled versions of one code: sizes of batches x modes (training, evaluation) x shapes of parts


class Region(nn.Module):
    """A part without dropout of ours and without hooks; its `forward` is what is compiled."""


class Stage(Region, nn.Sequential):
    """PyTorch's Sequential with a `forward` of ours: the compiler passes over PyTorch's own."""

    def forward(self, x: Tensor) -> Tensor:
        for part in self:
            x = part(x)
        return x


def compile_regions(network: nn.Module) -> int:
    """Have every region of a network compiled when it first passes; how many there are.

    A region with a SyncBatchNorm, at which the compiler breaks, is left as it is, and that is said once. A copy of the
    network is not compiled. This imports PyTorch's compiler, which takes a second or more.
    """
    import torch._dynamo

    torch._dynamo.config.recompile_limit = MOST  # type: ignore[attr-defined]
    every = [part for part in network.modules() if isinstance(part, Region)]
    regions = [part for part in every if not any(isinstance(below, nn.SyncBatchNorm) for below in part.modules())]
    if left := len(every) - len(regions):
        _say(f"compile: {left} of {len(every)} parts have a SyncBatchNorm, and are not compiled")
    for region in regions:
        region.compile(backend=BACKEND, dynamic=False)  # batches have two or three sizes in all
    return len(regions)


@cache
def _say(text: str) -> None:
    print(text, flush=True)
