"""Small training runs, each in a process of its own, with enough memory or too little; see test_micro_batch.py."""

import os
import resource
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import nn

from tds_core.training.distributed import World
from tds_core.training.guards import AdaptiveBatch, MemoryGuard, fail_together, host_memory

BATCH = 4
STEPS = 4
MIB = 2**20
VOXELS = 2**15
# A patch takes about 32 MiB: 32 features of its voxels in float64, which two layers and their gradients keep.
ROOM = 64 * MIB


def train(how: str, target: Path, sizes_to_use: Sequence[int] = ()) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    # Rounding in float64 is far below what a wrong gradient would do.
    torch.set_default_dtype(torch.float64)
    network = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 1))
    optimiser = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    first = nn.utils.parameters_to_vector(network.parameters()).detach().clone()
    batches = [torch.randn(BATCH, VOXELS, 1) for _ in range(STEPS)]
    # What the first pass loads and reserves is no part of what is measured.
    network(batches[0][:1]).mean().backward()
    events: list[str] = []
    limit = (host_memory.tree_bytes() or 0) + ROOM if how == "limit" else None
    memory = MemoryGuard(torch.device("cpu"), max_ram_bytes=limit)

    def note(kind: str, _values: Mapping[str, object]) -> None:
        events.append(kind)

    micro = AdaptiveBatch(BATCH, None, memory=memory, world=World(), report=note)
    if how == "address_space":
        size = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + ROOM, resource.RLIM_INFINITY))
    sizes: list[int] = []
    for batch in batches:

        def step(size: int, batch: torch.Tensor = batch) -> int:
            optimiser.zero_grad(set_to_none=True)
            with fail_together(World()):
                for part in batch.split(size):  # type: ignore[no-untyped-call]  # of torch
                    loss = (network(part) - part.square()).square().mean(dim=(1, 2)).sum() / BATCH
                    loss.backward()
            optimiser.step()
            return size

        sizes.append(step(sizes_to_use[len(sizes)]) if sizes_to_use else micro.run(step))
    weights = nn.utils.parameters_to_vector(network.parameters()).detach()
    torch.save({"first": first, "weights": weights, "sizes": sizes, "events": events}, target)


def in_a_process(how: str, target: Path, sizes_to_use: Sequence[int] = ()) -> None:
    child = os.fork()  # torch is imported once, and has no thread of its own yet
    if not child:
        train(how, target, sizes_to_use)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit(f"the run with {how} memory failed")


def main(folder: Path) -> None:
    torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1).step()  # imports what each child would import anew
    in_a_process("roomy", folder / "roomy.pt")
    for how in ("address_space", "limit"):
        # In this very process: of pages that it shared with another one only a half would count as its own.
        train(how, folder / f"{how}.pt")
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        sizes = torch.load(folder / f"{how}.pt", weights_only=True)["sizes"]
        in_a_process("roomy", folder / f"{how}-again.pt", sizes)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
