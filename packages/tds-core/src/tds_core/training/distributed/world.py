"""The processes of a run, and what they tell each other.

Control messages (flags, scores, checkpoints) travel over gloo between CPUs, so that they never wait for a GPU;
gradients travel over NCCL where there are GPUs. What is sent is tensors and plain values, and is read with
`weights_only=True`: no process can make another run code.
"""

import io
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from tds_core.errors import ConfigError, TrainingError
from tds_core.training.config import Device
from tds_core.training.distributed.devices import choose_device
from tds_core.training.distributed.launch import Launch, share_of

_T = TypeVar("_T")

_TIMEOUT_S: Final = 1800.0

logger = logging.getLogger(__name__)


class World:
    """All processes of a run, as seen from one of them. Every method is called by all of them, in the same order.

    Args:
        launch: The place of this process; alone if `None`.
        device: What it trains on.

    Attributes:
        rank: Number of this process, from 0.
        size: How many there are.
        local_rank: Number of this process on its machine.
        device: What it trains on.
    """

    def __init__(self, launch: Launch | None = None, device: torch.device | None = None) -> None:
        place = launch or Launch()
        self.rank = place.rank
        self.size = place.size
        self.local_rank = place.local_rank
        self.device = device or torch.device("cpu")

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes files and tracks."""
        return self.rank == 0

    def share(self, count: int) -> range:
        """Return which of `count` things belong to this process.

        Args:
            count: How many there are.
        """
        return share_of(count, self.rank, self.size)

    def check_batch(self, batch: int) -> None:
        """Refuse a batch that leaves a process without work.

        Args:
            batch: Patches of one step of all processes.

        Raises:
            ConfigError: If there are more processes than patches.
        """
        if batch < self.size:
            message = (
                f"a batch of {batch} patches cannot be shared by {self.size} processes; raise sampling.batch to "
                f"{self.size} or more, or start fewer processes"
            )
            raise ConfigError(message)

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum over all processes, the same in all of them; what is given stays as it is.

        Args:
            values: Numbers of this process, on the CPU or its device; the same shape and type in all.
        """
        total = values.detach().clone()
        if self.size > 1:
            with _talking():
                dist.all_reduce(total)
        return total

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean over the processes, the same in all of them.

        Args:
            values: Numbers of this process, on the CPU or its device; the same shape and type in all.
        """
        return self.sum(values) / self.size

    def any(self, flag: bool, /) -> bool:  # noqa: FBT001  # reads as the builtin of this name
        """Return whether the flag is set in at least one process.

        Args:
            flag: Of this process.
        """
        return bool(self.sum(torch.tensor(float(flag)))) if self.size > 1 else flag

    def barrier(self) -> None:
        """Wait until all processes are here."""
        self.any(False)  # noqa: FBT003  # the value does not matter

    def broadcast(self, value: _T, /) -> _T:
        """Return the main process's value.

        Args:
            value: Tensors, numbers, texts, and lists, tuples and dictionaries of them; looked at in the main process
                only.
        """
        if self.size == 1:
            return value
        sent = _packed(value) if self.is_main else torch.empty(0, dtype=torch.uint8)
        length = torch.tensor([len(sent)])
        with _talking():
            dist.broadcast(length, src=0)
            received = sent if self.is_main else torch.empty(int(length), dtype=torch.uint8)
            dist.broadcast(received, src=0)
        result: _T = value if self.is_main else _unpacked(received)
        return result

    def gather(self, value: _T, /) -> list[_T]:
        """Return the values of all processes, in order of their ranks.

        Args:
            value: Tensors, numbers, texts, and lists, tuples and dictionaries of them.
        """
        if self.size == 1:
            return [value]
        sent = _packed(value)
        lengths = [torch.zeros(1, dtype=torch.int64) for _ in range(self.size)]
        with _talking():
            dist.all_gather(lengths, torch.tensor([len(sent)]))
            room = max(int(length) for length in lengths)
            padded = torch.zeros(room, dtype=torch.uint8)
            padded[: len(sent)] = sent
            everything = [torch.empty_like(padded) for _ in range(self.size)]
            dist.all_gather(everything, padded)
        return [_unpacked(each[: int(length)]) for each, length in zip(everything, lengths, strict=True)]

    def reduce_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace gradients by their sums over all processes.

        With losses that are means over samples, weighted by each process's share of the batch, that sum is the
        gradient of the whole batch. A parameter that got a gradient in one process counts as zero in those where it
        got none; one that got none anywhere keeps none, so that optimisers leave it alone.

        Args:
            parameters: Those of the optimiser; the same in all processes.
        """
        if self.size == 1:
            return
        known = [p for p in parameters if p.requires_grad]
        used = self.sum(torch.tensor([float(p.grad is not None) for p in known])).tolist()
        gradients = []
        for parameter, count in zip(known, used, strict=True):
            if count:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                gradients.append(parameter.grad)
        for bucket in _buckets(gradients):
            flat = torch.cat([gradient.reshape(-1) for gradient in bucket])
            with _talking():
                dist.all_reduce(flat)
            start = 0
            for gradient in bucket:
                gradient.copy_(flat[start : start + gradient.numel()].view_as(gradient))
                start += gradient.numel()

    def synchronise(self, network: nn.Module) -> None:
        """Give every process the main process's weights.

        Args:
            network: The same architecture in all processes.

        Raises:
            ConfigError: If a layer looks at a whole batch: each process would see its share only.
        """
        if self.size == 1:
            return
        batch_norm = nn.modules.batchnorm._BatchNorm  # noqa: SLF001  # the one base of all batch normalisations
        names = [name for name, module in network.named_modules() if isinstance(module, batch_norm)]
        if names:
            message = (
                f"the network normalises over the batch ({names[0]} and {len(names) - 1} more layers), which differs "
                f"between {self.size} processes; choose instance or group normalisation"
            )
            raise ConfigError(message)
        with torch.no_grad(), _talking():
            for tensor in [*network.parameters(), *network.buffers()]:
                dist.broadcast(tensor.data, src=0)

    def check_same(self, network: nn.Module, what: str = "weights") -> None:
        """Refuse to go on if the processes have drifted apart.

        Args:
            network: Whose weights are compared, by a sum that any difference changes.
            what: For the message.

        Raises:
            TrainingError: If they differ.
        """
        if self.size == 1:
            return
        digests = self.gather(_digest(network))
        if any(digest != digests[0] for digest in digests):
            message = (
                f"the {what} of the {self.size} processes differ, which must never happen; resume from the last "
                "checkpoint, and report it with the configuration if it happens again"
            )
            raise TrainingError(message)

    def close(self) -> None:
        """Leave the others."""
        if self.size > 1 and dist.is_initialized():
            dist.destroy_process_group()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        # After an error the others may never answer, and NCCL would wait for them; the end of the process frees
        # everything.
        if error is None or self.device.type == "cpu":
            self.close()


def join_world(
    device: Device = Device.AUTO,
    *,
    environment: Mapping[str, str] | None = None,
    timeout_s: float = _TIMEOUT_S,
) -> World:
    """Return the processes that torchrun started, once all are there; a world of one where it started none.

    Args:
        device: What the configuration says.
        environment: Variables of the environment; this process's if `None`.
        timeout_s: Seconds after which a process that does not answer counts as gone, and this one gives up.

    Raises:
        ConfigError: If the environment is set by half, a GPU was asked for and there is none, or processes differ in
        it. TrainingError: If not all processes arrive in time.
    """
    launch = Launch.from_environment(os.environ if environment is None else environment)
    chosen = choose_device(device, launch)
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    world = World(launch, chosen)
    if launch.size == 1:
        return world
    with _talking():
        dist.init_process_group(
            _backend(chosen), rank=launch.rank, world_size=launch.size, timeout=timedelta(seconds=timeout_s)
        )
    kinds = world.gather(chosen.type)
    if len(set(kinds)) > 1:
        world.close()
        message = (
            f"processes train on different kinds of device ({', '.join(kinds)}); set device: cpu, or give each a GPU"
        )
        raise ConfigError(message)
    logger.info("world_joined rank=%d size=%d device=%s", world.rank, world.size, chosen)
    return world


def _backend(device: torch.device) -> str:
    if device.type == "cuda" and dist.is_nccl_available():
        return "cpu:gloo,cuda:nccl"
    return "gloo"


@contextmanager
def _talking() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # DistBackendError, DistNetworkError and gloo's own are among them
        if isinstance(error, torch.OutOfMemoryError):
            raise
        message = (
            "another process of this run ended or did not answer in time; look for its own message, then start the "
            f"run again with --resume: {str(error).splitlines()[0]}"
        )
        raise TrainingError(message) from error


_BUCKET_BYTES: Final = 64 * 1024**2


def _buckets(gradients: list[Tensor]) -> Iterator[list[Tensor]]:
    """Return gradients of one type and device that fit a bucket, in order; a larger one has a bucket of its own."""
    bucket: list[Tensor] = []
    size = 0
    for gradient in gradients:
        same = bool(bucket) and (gradient.dtype, gradient.device) == (bucket[0].dtype, bucket[0].device)
        if bucket and (not same or size + gradient.nbytes > _BUCKET_BYTES):
            yield bucket
            bucket, size = [], 0
        bucket.append(gradient)
        size += gradient.nbytes
    if bucket:
        yield bucket


def _packed(value: object) -> Tensor:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return torch.frombuffer(bytearray(buffer.getbuffer()), dtype=torch.uint8)


def _unpacked(data: Tensor) -> Any:  # noqa: ANN401  # what it is, the sender knows
    return torch.load(io.BytesIO(data.numpy().tobytes()), map_location="cpu", weights_only=True)


def _digest(network: nn.Module) -> list[float]:
    sums = [tensor.detach().double().sum() for tensor in network.state_dict().values()]
    return torch.stack(sums).tolist() if sums else []
