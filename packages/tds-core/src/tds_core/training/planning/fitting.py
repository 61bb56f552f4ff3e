"""The largest patch and batch that fit into a device's memory."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tds_core.training.config import NetworkConfig, Shape, TrainingConfig
from tds_core.training.models import model_facts, patch_factors
from tds_core.training.planning.extents import shrinking_patches
from tds_core.training.planning.memory import CONTEXT_BYTES, Load, Memory, estimate_memory
from tds_core.training.planning.networks import with_topology

_WHOLE_PATCHES = 4
"""Images of so many patches' voxels are predicted whole in validation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A way to train, and what it takes.

    Attributes:
        network: With all its options.
        patch: Voxels along x, y, z.
        batch: Patches of a step.
        micro_batch: Patches that go through the network at once.
        memory: What it takes.
        whole: Whether the patch is the largest that is wanted.
    """

    network: NetworkConfig
    patch: Shape
    batch: int
    micro_batch: int
    memory: Memory
    whole: bool

    @property
    def voxels(self) -> int:
        """Voxels of a patch."""
        return math.prod(self.patch)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitter:
    """Looks for what fits.

    Attributes:
        config: Of the run; its network and patch are not looked at.
        target: Most bytes that may be taken.
        voxels: Of the median case along x, y, z.
        largest: Of the largest case.
    """

    config: TrainingConfig
    target: int
    voxels: Sequence[float]
    largest: Sequence[float]

    def memory(self, network: NetworkConfig, patch: Shape, batch: int, micro_batch: int) -> Memory:
        """Return what training takes.

        Args:
            network: With all its options.
            patch: Voxels along x, y, z.
            batch: Patches of a step.
            micro_batch: Patches that go through the network at once.

        Raises:
            ConfigError: If the network does not take the patch.
        """
        load = Load(
            patch=patch, micro_batch=micro_batch, accumulated=micro_batch < batch, image=self._whole(network, patch)
        )
        return estimate_memory(replace(self.config, network=network), load)

    def at(self, network: NetworkConfig, patch: Shape, batch: int, micro_batch: int, *, whole: bool = False) -> Fit:
        """Return what training takes, with the network's topology spelled out.

        Args:
            network: As it is configured.
            patch: Voxels along x, y, z.
            batch: Patches of a step.
            micro_batch: Patches that go through the network at once.
            whole: Whether the patch is the largest that is wanted.

        Raises:
            ConfigError: If the network does not take the patch.
        """
        spelled = with_topology(network, patch)
        memory = self.memory(spelled, patch, batch, micro_batch)
        return Fit(network=spelled, patch=patch, batch=batch, micro_batch=micro_batch, memory=memory, whole=whole)

    def largest_patch(self, network: NetworkConfig, first: Shape, batch: int, micro_batch: int) -> tuple[Fit, bool]:
        """Return the largest patch that fits, or the smallest that there is, and whether it fits.

        Args:
            network: As it is configured.
            first: The largest that is wanted.
            batch: Patches of a step.
            micro_batch: Patches that go through the network at once.
        """
        patches = shrinking_patches(first, self.voxels, lambda patch: patch_factors(network, patch))
        patches = [patch for patch in patches if patch != patch_factors(network, patch)] or patches
        known: dict[int, Fit] = {}

        def taken(index: int) -> Memory:
            known[index] = self.at(network, patches[index], batch, micro_batch, whole=index == 0)
            return known[index].memory

        index = _first_that_fits([math.prod(patch) for patch in patches], taken, self.target)
        chosen = min(index, len(patches) - 1)
        if chosen not in known:
            taken(chosen)
        return known[chosen], index < len(patches)

    def larger_batch(self, fit: Fit, most: int) -> Fit:
        """Return the same with as many patches in a batch as fit.

        Args:
            fit: Where to begin.
            most: Patches that are enough.
        """
        memory = fit.memory
        moving = max(1, (memory.step - 2 * memory.weights) // fit.micro_batch)
        batch = min(most, fit.batch + max(0, self.target - memory.total) // moving)
        while batch > fit.batch:
            larger = self.at(fit.network, fit.patch, batch, batch, whole=fit.whole)
            if larger.memory.total <= self.target:
                return larger
            batch -= 1
        return fit

    def _whole(self, network: NetworkConfig, patch: Shape) -> Shape | None:
        """Return the largest image that goes through whole in validation, if there is one."""
        if model_facts(network.name).fixed_size:
            return None
        factors = patch_factors(network, patch)
        x, y, z = (math.ceil(size / of) * of for size, of in zip(self.largest, factors, strict=True))
        return (x, y, z) if x * y * z <= _WHOLE_PATCHES * math.prod(patch) else None


def _first_that_fits(voxels: Sequence[int], taken: Callable[[int], Memory], target: int) -> int:
    """Return the first of falling sizes that fits, or how many there are; memory is about linear in the voxels."""
    low, high = 0, len(voxels)
    probe = min(range(len(voxels)), key=lambda i: abs(voxels[i] - 96**3))
    while low < high:
        memory = taken(probe)
        if memory.total <= target:
            high = probe
        else:
            low = probe + 1
        fixed = memory.weights + memory.optimiser + memory.average + min(memory.context, CONTEXT_BYTES)
        each = max(1, memory.total - fixed) / voxels[probe]
        guess = next((i for i, n in enumerate(voxels) if fixed + each * n <= target), len(voxels))
        probe = min(max(guess, low), max(low, high - 1))
    return low
