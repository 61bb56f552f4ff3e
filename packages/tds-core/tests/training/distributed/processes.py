"""Run by torchrun or a test: `processes.py WHAT FOLDER`. Each process leaves what it saw in `FOLDER/RANK.json`."""

import errno
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tds_core.errors import ConfigError, DiskFull, TrainingError, TrainingOutOfMemory
from tds_core.training.config import Device, SafetyConfig
from tds_core.training.distributed import World, _buckets, join_world
from tds_core.training.guards import (
    AdaptiveBatch,
    DiskGuard,
    MemoryGuard,
    StopRequest,
    changing_weights,
    fail_together,
)

Facts = dict[str, Any]


def talk(world: World) -> Facts:
    mine = torch.tensor([1.0, 10.0]) * (world.rank + 1)
    with world.in_turn():
        when = time.time()
    return {
        "world": [world.rank, world.size, world.is_main, str(world.device)],
        "sum": world.sum(mine).tolist(),
        "mean": world.mean(mine).tolist(),
        "given": mine.tolist(),
        "any": [world.any(False), world.any(world.rank == 1), world.any(True)],  # noqa: FBT003  # the two values
        "broadcast": world.broadcast({"rank": world.rank, "text": "ä", "list": [1, None, 2.5]}),
        "tensor": world.broadcast({"t": torch.full((2,), world.rank + 0.5)})["t"].tolist(),
        "gather": world.gather({"rank": world.rank, "long": "x" * (1 + 5 * world.rank)}),
        "share": list(world.share(3)),
        "turn": world.gather(when),
    }


def gradients(world: World) -> Facts:
    _buckets._BUCKET_BYTES = 40  # type: ignore[misc]  # so that there is more than one, of more than one tensor
    parameters = [nn.Parameter(torch.zeros(shape)) for shape in ((2, 3), (4,), (5,), (20,), (1,))]
    parameters.append(nn.Parameter(torch.zeros(3, dtype=torch.float64)))
    frozen = nn.Parameter(torch.zeros(2), requires_grad=False)
    for number, parameter in enumerate(parameters):
        if number == 1 or (number == 2 and world.rank == 0):
            continue  # the second has no gradient anywhere, the third in the second process only
        parameter.grad = torch.full_like(parameter, (number + 1) * 10.0**world.rank)
    world.reduce_gradients([*parameters, frozen])
    return {"gradients": [None if p.grad is None else p.grad.flatten().tolist() for p in parameters]}


def same(world: World) -> Facts:
    torch.manual_seed(world.rank)
    network = nn.Sequential(nn.Conv3d(1, 2, 1), nn.InstanceNorm3d(2, track_running_stats=False))
    network.register_buffer("mask", torch.tensor([world.rank == 0]))
    facts: Facts = {}
    try:
        world.check_same(network)
    except TrainingError as error:
        facts["differ"] = str(error)
    world.synchronise(network)
    world.check_same(network)
    facts["weights"] = [tensor.flatten().tolist() for tensor in network.state_dict().values()]
    try:
        world.synchronise(nn.Sequential(nn.Conv3d(1, 2, 1), nn.BatchNorm3d(2)))
    except ConfigError as error:
        facts["batch_norm"] = str(error)
    return facts


def guards(world: World, folder: Path) -> Facts:
    events: list[str] = []

    def note(kind: str, _values: Mapping[str, object]) -> None:
        events.append(kind)

    facts: Facts = {"events": events}
    micro = AdaptiveBatch(8, None, memory=MemoryGuard(world.device), world=world, report=note)
    micro.load_state_dict({**micro.state_dict(), "size": 4, "goal": 4, "grows": 0})
    tried: list[int] = []

    def step(size: int) -> int:
        tried.append(size)
        with fail_together(world):
            if world.rank == 1 and size > 1:
                raise torch.OutOfMemoryError("CUDA out of memory")
        return size

    facts["step"] = micro.run(step)
    facts["tried"] = tried
    try:
        with changing_weights(world):
            raise torch.OutOfMemoryError("CUDA out of memory")
    except TrainingOutOfMemory as error:
        facts["torn"] = str(error)
    stop = StopRequest()
    facts["before"] = stop.agreed(world)
    safety = SafetyConfig(min_free_disk_bytes=0, disk_pause_s=0.01, disk_patience_s=0.2)
    disk = DiskGuard(folder, safety, stop=stop, world=world, report=note)
    attempts: list[int] = []

    def full_twice() -> int:
        attempts.append(world.rank)
        if len(attempts) < 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        return 5

    facts["written"] = disk.write(full_twice)
    facts["attempts"] = attempts

    def full() -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    try:
        disk.write(full)
    except DiskFull as error:
        facts["full"] = str(error)
    if world.rank == 1:
        stop.request("told here")
    facts["stopped_while_full"] = disk.write(full)
    facts["reason"] = stop.reason
    return facts


def everything(world: World, folder: Path) -> Facts:
    """Return all facts; every process calls this."""
    return {**talk(world), **gradients(world), **same(world), **guards(world, folder)}


def die(world: World) -> Facts:
    """The second process is gone; the first waits for it."""
    if world.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    try:
        world.barrier()
    except TrainingError as error:
        return {"error": str(error)}
    return {}


def sleep(world: World) -> Facts:
    """The second process does not answer; the first gives up."""
    if world.rank == 1:
        time.sleep(60)
    start = time.monotonic()
    try:
        world.barrier()
    except TrainingError as error:
        (Path(sys.argv[2]) / "gave-up.json").write_text(json.dumps([str(error), time.monotonic() - start]))
        raise
    return {}


def main(what: str, folder: Path) -> None:
    torch.set_num_threads(1)
    works: dict[str, Callable[[World], Facts]] = {
        "all": lambda world: everything(world, folder),
        "die": die,
        "sleep": sleep,
        "machines": talk,
    }
    with join_world(Device.CPU, timeout_s=3.0 if what == "sleep" else 60.0) as world:
        facts = works[what](world)
        (folder / f"{world.rank}.json").write_text(json.dumps(facts), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
