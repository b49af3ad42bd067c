"""What the methods share: networks and optimizers by name, schedule, warm-up, saving and loading."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from gta import seeds
from gta.config import PRECISIONS, MethodConfig, ScheduleConfig
from gta.errors import UserError
from gta.fields import check_values
from gta.models import SegmentationModel
from gta.models.region import compile_regions
from gta.ops.batch import Labeled, Part, Unlabeled, labeled_parts, unlabeled_parts
from gta.ops.distributed import synchronise_batchnorm, synchronising, unwrap, wrap
from gta.ops.dropout import Draws
from gta.ops.losses import IGNORE_INDEX, cross_entropy, full_precision, ohem_cross_entropy
from gta.ops.optim import ema_update, encoder_lr, optimizer_of, ramped_decay


class Method:
    """One method: `step` does everything that an iteration does to its networks.

    A subclass says what it is by the class variables below, and overrides `semi_supervised_step`. Where it applies,
    also: `start` (networks of its own that begin at the end of the warm-up), `strong_views`, and `kept` (which
    pseudo-labels it learns from). Before the warm-up's end every method trains the student with labels alone, so that
    methods share these steps bit for bit.

    `step` returns the values that `reports` names: `loss/...` (a run whose loss is not finite is ended) and
    `pseudo/...` (0 to 1). `loss/supervised` is always there; during the warm-up, those whose names begin so are all.
    """

    Config: ClassVar[type[MethodConfig]] = MethodConfig
    maths: ClassVar[int] = 1  # raised when the same settings give other numbers on purpose; it is in the signature
    uses_unlabeled: ClassVar[bool] = False
    uses_all_labels: ClassVar[bool] = False  # the labeled batches come from the labeled and the unlabeled list
    teacher: ClassVar[bool] = False  # a copy of the student starts as "teacher" at the end of the warm-up
    scored: ClassVar[tuple[str, ...]] = ("student", "teacher")  # of these, those that exist
    headline: ClassVar[str] = "student"  # name of the network whose score is the method's, once it exists
    reports: ClassVar[tuple[str, ...]] = ("loss/supervised",)  # names of what `step` returns after the warm-up

    def __init_subclass__(cls) -> None:
        """What settings that need no torch say of their method (`gta.methods.settings`), its class says as well."""
        super().__init_subclass__()
        declared = [kind.__dict__ for kind in cls.Config.__mro__ if kind is not MethodConfig]
        for name in ("maths", "uses_unlabeled"):
            if "Config" in cls.__dict__ and name not in cls.__dict__ and any(name in kind for kind in declared):
                setattr(cls, name, getattr(cls.Config, name))

    def __init__(
        self,
        config: Any,
        model: Callable[[], SegmentationModel],
        schedule: ScheduleConfig,
        seed: int,
        device: torch.device | str,
        precision: str = "fp32",
    ) -> None:
        """`config` is an instance of `Config`; `model()` makes one network with its initial weights.

        Raises UserError for settings outside what their fields declare.
        """
        check_values(config, "method.")
        check_values(schedule, "schedule.")
        if precision not in PRECISIONS:
            raise UserError(f"precision is '{precision}'; use {' or '.join(PRECISIONS)}.")
        self.config = config
        self.schedule = schedule
        self.seed = seed
        self.device = torch.device(device)
        self.precision = precision
        self.models: dict[str, nn.Module] = {}  # under DDP where trained and there are several ranks
        self.optimizers: dict[str, torch.optim.Optimizer] = {}  # of the trained ones
        self.draws = Draws(seed, 0, schedule)  # of dropout, within a step
        self.started = False  # whether the warm-up is over, and all networks are there
        self._late: list[str] = []  # names of those that started then
        self.add_new("student", model, seeds.weights(seed))  # all ranks, and all methods, begin with the same weights

    # --- what a subclass writes -----------------------------------------------------------------------------

    def start(self) -> None:
        """The end of the warm-up, once: `add` the networks that begin now. The teacher is there already."""

    def semi_supervised_step(self, parts: list[Part], iteration: int) -> dict[str, Tensor]:
        """One step after the warm-up, on the `schedule.accumulate` parts of the batch; returns what `update` does.

        What labels the images does so for all parts before a network moves, so that a batch in parts learns the same.
        """
        raise NotImplementedError

    @property
    def strong_views(self) -> int:
        """How many strong views unlabeled batches must carry: 0 to 2."""
        return 0

    def kept(self, confidence: Tensor) -> Tensor:
        """Which pseudo-labels, of these confidences (n), are learned: bool (n)."""
        return torch.ones_like(confidence, dtype=torch.bool)

    @property
    def labeling(self) -> str:
        """Name of the network whose pseudo-labels are learned."""
        return "teacher" if self.teacher else "student"

    # --- what the trainer calls -----------------------------------------------------------------------------

    def step(self, labeled: Labeled, unlabeled: Unlabeled | None, iteration: int) -> dict[str, Tensor]:
        """Forward, backward, optimizers and EMA of all networks; returns detached scalars by name.

        The batches are on the method's device. Each value is the mean over this rank's groups: its mean over
        the ranks is that of the global batch.
        """
        semi_supervised = self.uses_unlabeled and iteration >= self.schedule.warm_up
        if semi_supervised and not self.started:
            self.end_warm_up()
        self.set_lr(iteration)
        parts = labeled_parts(labeled, self.schedule)
        self.draws = Draws(self.seed, iteration, self.schedule, parts)
        if not semi_supervised:
            return self.supervised_step(parts)
        assert unlabeled is not None, "this method needs an unlabeled batch after the warm-up"
        pairs = zip(parts, unlabeled_parts(unlabeled, self.schedule), strict=True)
        return self.semi_supervised_step(list(pairs), iteration)

    def end_warm_up(self) -> None:
        """Start the teacher, and what `start` adds; done by the first step after the warm-up, or a state from then."""
        before = set(self.models)
        if self.teacher:
            self.add("teacher", self.copy_of_student(), trained=False)
        self.start()
        assert self.headline in self.models, f"{type(self).__name__}: its headline {self.headline} never starts"
        self._late = [name for name in self.models if name not in before]
        self.started = True

    def set_lr(self, iteration: int) -> None:
        """The schedule's on every optimizer, from the config's learning rates, never from the decayed groups'."""
        lr = encoder_lr(self.schedule, iteration)
        for optimizer in self.optimizers.values():
            encoder, decoder = optimizer.param_groups
            encoder["lr"], decoder["lr"] = lr, lr * self.schedule.decoder_lr_factor

    def networks(self) -> dict[str, nn.Module]:
        """The networks to score (the teacher once it exists), without DDP. `step` sets train() and eval() itself."""
        return {name: unwrap(self.models[name]) for name in self.scored if name in self.models}

    def headline_network(self) -> tuple[str, nn.Module]:
        """Name and network whose score is the method's now: the headline; before it exists, the student."""
        networks = self.networks()
        name = self.headline if self.headline in networks else "student"
        return name, networks[name]

    def state_dict(self) -> dict[str, Any]:
        """Every network and optimizer, in tensors and plain Python; all else follows from the iteration."""
        return {
            "networks": {name: unwrap(network).state_dict() for name, network in self.models.items()},
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict` of before or after the warm-up; raises UserError for one of another model."""
        names = set(state["networks"])
        if not names.issuperset(self._late):  # the state is of the warm-up
            for name in self._late:
                del self.models[name]
                self.optimizers.pop(name, None)
            self.started, self._late = False, []
        if not self.started and not names <= set(self.models):
            self.end_warm_up()
        if names != set(self.models):
            raise UserError(
                f"The checkpoint holds the networks {', '.join(state['networks'])}; {type(self).__name__} has "
                f"{', '.join(self.models)}: it is a checkpoint of another method."
            )
        try:
            for name, network in self.models.items():
                unwrap(network).load_state_dict(state["networks"][name])
            for name, optimizer in self.optimizers.items():
                optimizer.load_state_dict(state["optimizers"][name])
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, ValueError) as error:
            first = str(error).strip().splitlines()[-1].strip()
            raise UserError(f"The checkpoint is of another model than the config's: {first}") from error

    # --- what subclasses build on ---------------------------------------------------------------------------

    def add(self, name: str, network: nn.Module, trained: bool) -> None:
        """Keep a network under `name`, with an optimizer if it is trained and without gradients if not.

        What is no whole network, a head, has no encoder and learns at the decoder's rate.
        """
        if isinstance(network, SegmentationModel) and network.compiled:
            compile_regions(network)
        if not trained:
            self.models[name] = network.requires_grad_(False)
            return
        encoder = list(network.encoder.parameters()) if isinstance(network, SegmentationModel) else []
        inside = {id(parameter) for parameter in encoder}
        decoder = [parameter for parameter in network.parameters() if id(parameter) not in inside]
        self.optimizers[name] = optimizer_of(encoder, decoder, self.schedule)
        self.models[name] = wrap(network)

    def add_new(self, name: str, model: Callable[[], nn.Module], seed: int) -> None:
        """Keep a trained network with initial weights drawn from `seed`, under `name`."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = model()
        self.add(name, synchronise_batchnorm(network.to(self.device)), trained=True)

    def copy_of_student(self) -> SegmentationModel:
        """The student's parameters and buffers, in storage of their own."""
        return copy.deepcopy(cast(SegmentationModel, unwrap(self.models["student"])))

    def forward(self, name: str, images: Tensor) -> Tensor:
        """Logits (B, C, h, w), of no less than float32, of the network of that name in the configured precision."""
        with self._pass(name):
            return full_precision(cast(Tensor, self.models[name](images)))

    def student_loss(self, images: Tensor, mask: Tensor, name: str = "student") -> tuple[Tensor, Tensor]:
        """The student's supervised loss on the first len(mask) images, and its logits on the others.

        All images pass as one batch, so that BatchNorm sees them together. The auxiliary head, where the
        model has one, adds its own loss. `name` is of the network, where it is not the student.
        """
        loss, _, logits = self.student_losses(images, mask, name)
        return loss, logits

    def student_losses(self, images: Tensor, mask: Tensor, name: str = "student") -> tuple[Tensor, Tensor, Tensor]:
        """As `student_loss`, with the logits on the labeled images between the two."""
        with self._pass(name):
            logits, auxiliary = self.models[name](images, auxiliary=True)
        labeled = len(mask)
        loss = self.label_loss(logits[:labeled], mask)
        if auxiliary is not None:
            loss = loss + self.schedule.auxiliary_weight * self.label_loss(auxiliary[:labeled], mask)
        logits = full_precision(logits)
        return loss, logits[:labeled], logits[labeled:]

    def label_loss(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Cross-entropy against labels; of the hard pixels alone where the schedule asks for OHEM."""
        size, threshold = self.schedule.group_size, self.schedule.ohem_threshold
        if not threshold:
            return cross_entropy(logits, mask, size)
        return ohem_cross_entropy(logits, mask, size, threshold, self.schedule.ohem_min_kept)

    def update(
        self,
        names: str | Sequence[str],
        loss: Callable[..., tuple[Tensor, dict[str, Tensor]]],
        parts: Sequence[tuple[Any, ...]],
    ) -> dict[str, Tensor]:
        """One optimizer step of the network(s) of these names, in train(), on the mean loss of the parts.

        `loss(*part)` gives the loss of a part and values to report, whose means over the parts are returned, detached.
        One part after the other passes forward and backward, so that the activations of one part fill the memory. The
        parts hold equally many groups: their mean is that of the groups, the loss of the whole batch.
        """
        names = [names] if isinstance(names, str) else names
        for name in names:
            self.optimizers[name].zero_grad()
            self.models[name].train()
        reported = []
        for number, part in enumerate(parts):
            with ExitStack() as stack:
                stack.enter_context(self.draws.of_part(number))
                for name in names:
                    stack.enter_context(synchronising(self.models[name], now=number == len(parts) - 1))
                total, values = loss(*part)
                (total / len(parts)).backward()
            reported.append({key: value.detach() for key, value in values.items()})
        for name in names:
            self.optimizers[name].step()
        return {key: torch.stack([values[key] for values in reported]).mean() for key in reported[0]}

    def supervised_step(self, parts: list[Labeled]) -> dict[str, Tensor]:
        """One step of the student with labels alone."""
        return self.update("student", self.supervised_loss, [(part,) for part in parts])

    def supervised_loss(self, labeled: Labeled, name: str = "student") -> tuple[Tensor, dict[str, Tensor]]:
        """The loss on labels alone, for `update`; `name` is of the network, where it is not the student."""
        loss, _ = self.student_loss(labeled.image, labeled.mask, name)
        return loss, {"loss/supervised": loss}

    @torch.no_grad()
    def pseudo_labels(self, unlabeled: Unlabeled, name: str = "", training: bool = False) -> tuple[Tensor, Tensor]:
        """The classes (255 where padded) and confidences (0 there) of a network on the weak view; both (B, h, w).

        In eval(), or, with `training`, in train(): BatchNorm then normalises by these images, and its statistics move.
        `name` is of the network, where it is not `labeling`.
        """
        name = name or self.labeling
        self.models[name].train(training)
        with self.draws.of_group(unlabeled.first_group):
            confidence, pseudo = self.confidence(name, unlabeled.weak)
        return pseudo.masked_fill(unlabeled.padding, IGNORE_INDEX), confidence.masked_fill(unlabeled.padding, 0.0)

    def view(self, unlabeled: Unlabeled) -> Tensor:
        """The unlabeled images as a trained network sees them: strong where there is such a view, else weak."""
        if not self.strong_views:
            return unlabeled.weak
        assert unlabeled.strong is not None, "this method needs the strong view"
        return unlabeled.strong

    def update_teacher(
        self,
        iteration: int,
        cap: float | None = None,
        statistics: bool = True,
        pair: tuple[str, str] = ("teacher", "student"),
    ) -> None:
        """Teacher <- EMA of the student, over all parameters; the decay's cap is schedule.ema_decay unless given.

        Through the first `schedule.ema_delay` steps after the warm-up the decay is 0: the teacher is a copy.
        With `statistics` its BatchNorm statistics follow too, by the same decay: without, a teacher that is only
        ever run in eval() would keep those of the warm-up's end (those of an untrained network, where there is none).
        `pair`: names of the two, where they are others.
        """
        teacher, student = (unwrap(self.models[name]) for name in pair)
        done = iteration - self.schedule.warm_up
        decay = ramped_decay(done, self.schedule.ema_decay if cap is None else cap)
        decay = decay if done >= self.schedule.ema_delay else 0.0
        ema_update(teacher.parameters(), student.parameters(), decay)
        if statistics:
            pairs = [p for p in zip(teacher.buffers(), student.buffers(), strict=True) if p[0].is_floating_point()]
            ema_update([mine for mine, _ in pairs], [theirs for _, theirs in pairs], decay)

    @torch.no_grad()
    def confidence(self, name: str, images: Tensor) -> tuple[Tensor, Tensor]:
        """Largest softmax probability and its class, both (B, h, w), of the upsampled logits."""
        return self.forward(name, images).softmax(1).max(1)

    @contextmanager
    def _pass(self, name: str) -> Iterator[None]:
        """Around a pass of the network of that name: precision, and what its dropout draws."""
        precision = torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")
        with precision, self.draws.of_pass(name):
            yield
