"""1x1 convolutions that are fast on one thread of a CPU, where many cells share a machine's cores."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ANY = 2  # a kernel of one pixel has no spread: each dilation is the same convolution


class Pointwise(nn.Conv2d):
    """A 1x1 convolution without padding; parameters, names and maths are those of `nn.Conv2d`.

    With one thread PyTorch hands a float32 convolution to oneDNN only if its kernel is large, strided or dilated, or
    the batch has 16 images or more; it makes products of matrices of the others, which take twice as long on some
    CPUs. A dilation, which means nothing here, has them go to oneDNN. Elsewhere there is none.
    """

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if not _helps(input):
            return super()._conv_forward(input, weight, bias)
        return F.conv2d(input, weight, bias, self.stride, 0, ANY, self.groups)


def _helps(input: Tensor) -> bool:
    """Whether oneDNN takes a dilated convolution of this here, and would not take a plain one."""
    if torch.compiler.is_compiling():
        return False
    if input.device.type != "cpu" or input.dtype != torch.float32 or torch.get_num_threads() != 1:
        return False
    known = torch.backends.mkldnn.is_available() and bool(torch.backends.mkldnn.enabled)
    return known and not torch.is_autocast_enabled("cpu")


def make_pointwise(network: nn.Module) -> nn.Module:
    """Have the network's 1x1 convolutions be `Pointwise`, in place; whoever made them. Returns the network."""
    for part in network.modules():
        if type(part) is nn.Conv2d and part.kernel_size == (1, 1) and not any(part.padding):
            part.__class__ = Pointwise
    return network
