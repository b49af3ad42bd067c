"""Processes that train one cell together: start, sums, wrapping a network. Also right for one process."""

from __future__ import annotations

import contextlib
import os
import warnings
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from gta.errors import UserError
from gta.ops.transfer import to_device

T = TypeVar("T")
# Of a rank for the others, longer than `site.stuck_minutes`, whose watcher says more. NCCL's own 10 minutes are less
# than another node may take to copy its data (site.stage).
PATIENCE = timedelta(hours=1)


def init_from_env(device: str = "auto") -> torch.device:
    """Join the process group that torchrun or `launch.job.rendezvous` described in the environment; returns the device.

    device: cpu, cuda, or auto (cuda where there is one). Alone (no such environment, or one process) nothing
    is started. Raises UserError where cuda is asked for and absent.
    """
    local_rank = int(os.environ.get("LOCAL_RANK", 0))
    chosen = _device(device, local_rank)
    if int(os.environ.get("WORLD_SIZE", 1)) > 1 and not dist.is_initialized():
        if chosen.type == "cuda":
            torch.cuda.set_device(chosen)
        dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo", timeout=PATIENCE)
    return chosen


def _device(name: str, local_rank: int) -> torch.device:
    if name not in ("auto", "cpu", "cuda"):
        raise UserError(f"site.device is '{name}'; use auto, cpu or cuda.")
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise UserError("site.device is cuda, but this machine shows no GPU to PyTorch; use site.device=cpu or auto.")
    # Slurm may show each task its own GPU only, which is then number 0.
    return torch.device("cuda", local_rank % torch.cuda.device_count())


def rank() -> int:
    """Number of this process among those that train the cell."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """How many processes train the cell."""
    return dist.get_world_size() if dist.is_initialized() else 1


def barrier() -> None:
    """Wait until every rank is here."""
    if world_size() > 1:
        index = _wire().index  # which GPU PyTorch would guess, and say so in a warning
        dist.barrier(device_ids=None if index is None else [index])


def shutdown() -> None:
    """Leave the process group, if there is one."""
    if dist.is_initialized():
        dist.destroy_process_group()


def all_reduce_sum(tensor: Tensor) -> Tensor:
    """The sum of every rank's tensor, on the tensor's own device; the argument is left as it is."""
    if world_size() == 1:
        return tensor
    total = tensor.detach().clone().to(_wire())
    dist.all_reduce(total)
    return total.to(tensor.device)


def gather_rows(rows: Tensor) -> list[Tensor]:
    """Every rank's rows (n, ...), in the order of ranks, on the device of these; n is each rank's own."""
    if world_size() == 1:
        return [rows]
    counts = [torch.zeros(1, dtype=torch.int64, device=_wire()) for _ in range(world_size())]
    dist.all_gather(counts, torch.tensor([len(rows)], device=_wire()))
    found = []
    for source, count in enumerate(counts):
        mine = source == rank()
        sent = rows.contiguous() if mine else rows.new_empty(int(count), *rows.shape[1:])
        sent = sent.to(_wire())
        if len(sent):
            dist.broadcast(sent, source)
        found.append(rows if mine else sent.to(rows.device))
    return found


def highest(value: int) -> int:
    """The highest value of any rank, on every rank: how all ranks agree to save or to stop."""
    if world_size() == 1:
        return value
    box = torch.tensor(value, device=_wire())
    dist.all_reduce(box, op=dist.ReduceOp.MAX)
    return int(box.item())


class Agreement:
    """How all ranks agree at each step to save or to stop, without waiting for their GPUs: on these the answer is that
    of the step before, which is over, or soon will be, while this one is still to be computed.
    """

    def __init__(self) -> None:
        self._asked: tuple[Tensor, torch.cuda.Event] | None = None

    def highest(self, value: int, now: bool) -> int:
        """The highest value of any rank, on every rank, as `highest`; of several GPUs, of the step before, and, where
        it is to be `now`, of this one too. For all ranks at once. What was asked for beside an answer above 0 is
        dropped: who still wants it asks again.
        """
        if world_size() == 1 or _wire().type == "cpu":
            return highest(value)
        before, self._asked = self._asked, None if now else self._ask(value)
        found = 0
        if before is not None:
            answer, answered = before
            answered.synchronize()
            found = int(answer)
        if now:
            found = max(found, highest(value))
        if found:
            self._asked = None
        return found

    def _ask(self, value: int) -> tuple[Tensor, torch.cuda.Event]:
        """Where the answer will be, on the host, once the event has come."""
        box = to_device(torch.tensor(value), _wire())
        dist.all_reduce(box, op=dist.ReduceOp.MAX)
        answer = torch.zeros_like(box, device="cpu").pin_memory()
        answer.copy_(box, non_blocking=True)
        answered = torch.cuda.Event()
        answered.record()
        return answer, answered


def broadcast_object(value: T, source: int = 0) -> T:
    """Rank `source`'s picklable value, on every rank."""
    if world_size() == 1:
        return value
    box: list[Any] = [value]
    dist.broadcast_object_list(box, src=source, device=_wire())
    return cast(T, box[0])


def _wire() -> torch.device:
    """Where a tensor must lie to be sent."""
    return torch.device("cuda", torch.cuda.current_device()) if dist.get_backend() == "nccl" else torch.device("cpu")


def wrap(model: nn.Module) -> nn.Module:
    """The network under DDP where there are several ranks, else the network.

    Buffers are not broadcast: synchronised BatchNorm already keeps them equal.
    """
    if world_size() == 1:
        return model
    device = next(model.parameters()).device
    ids = [device] if device.type == "cuda" else None
    with warnings.catch_warnings():  # torch 2.13 has a new name for the option, which 2.11 does not know
        warnings.filterwarnings("ignore", message=".*broadcast_buffers.*", category=FutureWarning)
        return DistributedDataParallel(model, device_ids=ids, broadcast_buffers=False)


def unwrap(model: nn.Module) -> nn.Module:
    """The network itself, whether or not it is under DDP."""
    return model.module if isinstance(model, DistributedDataParallel) else model


def synchronising(model: nn.Module, now: bool) -> contextlib.AbstractContextManager[None]:
    """While entered, a pass of a network under DDP averages its gradients over the ranks only where it is to be `now`;
    else they wait in this rank's `.grad` for the pass that does.
    """
    if now or not isinstance(model, DistributedDataParallel):
        return contextlib.nullcontext()
    return cast(contextlib.AbstractContextManager[None], model.no_sync())


def synchronise_batchnorm(model: nn.Module) -> nn.Module:
    """The network with BatchNorm statistics over all ranks (itself for one rank); move it to its device first."""
    if world_size() == 1:
        return model
    if next(model.parameters()).device.type == "cuda":
        return cast(nn.Module, nn.SyncBatchNorm.convert_sync_batchnorm(model))
    for module in model.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = AllReduceBatchNorm2d  # same parameters, buffers and names; another forward
    return model


class AllReduceBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm over the images of all ranks, by a differentiable all-reduce.

    For CPU tensors, which torch's SyncBatchNorm refuses.
    """

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or world_size() == 1:
            return super().forward(input)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        x = input if input.dtype == torch.float64 else input.float()
        ones = x.new_full((1,), x.numel() / x.shape[1])
        total = cast(Tensor, _AllReduceSum.apply(torch.cat([x.sum((0, 2, 3)), ones])))
        count = total[-1].detach()
        mean = total[:-1] / count
        # The deviations in a second pass: E[x^2] - mean^2 would lose digits.
        centred = x - mean[:, None, None]
        variance = cast(Tensor, _AllReduceSum.apply(centred.square().sum((0, 2, 3)))) / count
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(input.dtype)


class _AllReduceSum(torch.autograd.Function):
    """Sum over ranks. Each rank's loss depends on the sum, so the gradient is the sum over ranks as well."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        total = tensor.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        total = gradient.clone()
        dist.all_reduce(total)
        return total
