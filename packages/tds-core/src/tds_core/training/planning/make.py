"""From what a data set is like to a plan."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from tds_core.errors import ConfigError
from tds_core.training.config import NetworkConfig, Shape, TrainingConfig
from tds_core.training.models import check_patch
from tds_core.training.planning.extents import choose_spacing, first_patch
from tds_core.training.planning.fingerprint import Fingerprint
from tds_core.training.planning.fitting import Fit, Fitter
from tds_core.training.planning.host import host_bytes
from tds_core.training.planning.memory import Memory
from tds_core.training.planning.networks import variants
from tds_core.training.planning.plan import Plan
from tds_core.training.planning.plan_warnings import plan_warnings

_LEAST_BATCH: Final = 2
_BATCH_SHARE: Final = 0.05
"""A batch shows at most this share of the data set's voxels, as in nnU-Net."""
_MOST_BATCH: Final = 32
_ENOUGH_VOXELS: Final = 96**3
"""With patches of so many voxels, or of all that there are, a network is not made narrower."""

Triple = tuple[float, float, float]
"""One number for each of x, y, z."""


@dataclass(slots=True)
class _Reasons:
    by_decision: dict[str, list[str]] = field(default_factory=dict)

    def add(self, decision: str, *sentences: str) -> None:
        self.by_decision.setdefault(decision, []).extend(sentences)

    def frozen(self) -> Mapping[str, tuple[str, ...]]:
        return {decision: tuple(sentences) for decision, sentences in self.by_decision.items()}


def make_plan(fingerprint: Fingerprint, config: TrainingConfig, vram_target_bytes: int) -> Plan:
    """Return what to train with.

    What the configuration sets is taken as it is, and the rest is fitted around it.

    Args:
        fingerprint: What the data set is like.
        config: Network, precision, loss and whatever else is settled.
        vram_target_bytes: Most memory of the device that training and validation may take.

    Raises:
        ConfigError: If nothing fits, with the least that would; or the network does not take a patch that is set.
    """
    reasons = _Reasons()
    spacing = _spacing(fingerprint, config, reasons)
    config = replace(config, data=replace(config.data, spacing_mm=spacing))
    shapes = fingerprint.shapes_at(spacing)
    voxels = np.median(shapes, axis=0).tolist()
    fitter = Fitter(
        config=config, target=vram_target_bytes, voxels=voxels, largest=shapes[shapes.prod(axis=1).argmax()].tolist()
    )
    enough = max(1, int(_BATCH_SHARE * math.prod(voxels) * fingerprint.labelled))
    fit = _fit(fitter, spacing, enough, reasons)
    reasons.add("memory", _memory_sentence(fit.memory, vram_target_bytes))
    plan = Plan(
        network=fit.network.name,
        spacing_mm=spacing,
        patch=fit.patch,
        batch=fit.batch,
        micro_batch=None if fit.micro_batch == fit.batch else fit.micro_batch,
        options=_plain(fit.network),
        vram_target_bytes=vram_target_bytes,
        memory=memory_table(fit.memory, host_bytes(config, fingerprint, fit.patch, fit.batch)),
        data=fingerprint.to_dict(),
        reasons=reasons.frozen(),
    )
    return replace(plan, warnings=plan_warnings(plan, fingerprint, fit.memory.total))


def check_plan(plan: Plan, config: TrainingConfig) -> tuple[str, ...]:
    """Return what is to be said against a plan that may have been changed; empty if nothing is.

    Args:
        plan: As it was read.
        config: Of the run, with the plan applied.

    Raises:
        ConfigError: If the network does not take the patch, or the run needs more than safety.max_vram_bytes.
    """
    patch, batch = config.sampling.patch or plan.patch, config.sampling.batch or plan.batch
    micro = min(config.sampling.micro_batch or batch, batch)
    check_patch(config.network, patch)
    fitter = Fitter(config=config, target=plan.vram_target_bytes, voxels=patch, largest=patch)
    needed = fitter.memory(config.network, patch, batch, micro).total
    limit = config.safety.max_vram_bytes
    if limit is not None and needed > limit:
        message = (
            f"a patch of {list(patch)} with {micro} at once needs about {_gb(needed)}, and safety.max_vram_bytes is "
            f"{_gb(limit)}; make sampling.patch or sampling.micro_batch smaller, or raise the limit"
        )
        raise ConfigError(message)
    if needed <= plan.vram_target_bytes:
        return ()
    sentence = (
        f"The plan needs about {_gb(needed)} with a patch of {list(patch)} and {micro} at once, more than its target "
        f"of {_gb(plan.vram_target_bytes)}: make the patch or micro_batch smaller, or raise the target if the GPU has "
        "the memory."
    )
    return (sentence,)


def memory_table(memory: Memory, host: int) -> dict[str, int]:
    """Return what takes how many bytes.

    Args:
        memory: On the device.
        host: On the host.
    """
    return {
        "weights": memory.weights,
        "optimiser": memory.optimiser,
        "averaged_weights": memory.average,
        "training_step": memory.step,
        "validation": memory.validation,
        "device_context": memory.context,
        "total": memory.total,
        "host_total": host,
    }


def _spacing(fingerprint: Fingerprint, config: TrainingConfig, reasons: _Reasons) -> Triple:
    given = config.data.spacing_mm
    if given is not None:
        reasons.add("spacing_mm", "It is set in the configuration.")
        return given if isinstance(given, tuple) else (given, given, given)
    spacing, why = choose_spacing(fingerprint)
    reasons.add("spacing_mm", *why)
    return spacing


def _fit(fitter: Fitter, spacing: Triple, enough: int, reasons: _Reasons) -> Fit:
    sampling = fitter.config.sampling
    first = sampling.patch or first_patch(spacing, fitter.voxels)
    batch = sampling.batch or _LEAST_BATCH
    forms, why = variants(fitter.config.network, first, spacing)
    if why:
        reasons.add("network", *why)
    if sampling.patch is not None:
        fit = _for_patch(fitter, forms[0], sampling.patch, batch)
        reasons.add("patch", "It is set in the configuration.")
    else:
        fit = _search(fitter, forms, first, batch)
        reasons.add("patch", *_patch_sentences(fit, fitter, first))
    reasons.add("network", _width_sentence(fit, forms))
    return _with_batch(fitter, fit, enough, reasons)


def _for_patch(fitter: Fitter, network: NetworkConfig, patch: Shape, batch: int) -> Fit:
    """Return the most patches at once that fit with a patch that is set; one if not even that does."""
    micros = [n for n in _halves(fitter.config.sampling.micro_batch or batch) if n <= batch]
    fits = (fitter.at(network, patch, batch, micro) for micro in micros)
    last: Fit | None = None
    for fit in fits:
        last = fit
        if fit.memory.total <= fitter.target:
            return fit
    if last is None:  # pragma: no cover  # there is at least one
        message = "a batch has at least one patch"
        raise ConfigError(message)
    return last


def _search(fitter: Fitter, forms: list[NetworkConfig], first: Shape, batch: int) -> Fit:
    """Return the widest network with enough of a patch, or else the one with the largest patch."""
    best: Fit | None = None
    least: Fit | None = None
    for network in forms:
        for micro in dict.fromkeys([min(fitter.config.sampling.micro_batch or batch, batch), 1]):
            fit, fits = fitter.largest_patch(network, first, batch, micro)
            if not fits:
                least = fit
                continue
            if fit.whole or fit.voxels >= _ENOUGH_VOXELS:
                return fit
            if best is None or fit.voxels > best.voxels:
                best = fit
    if best is not None:
        return best
    if least is None:  # pragma: no cover  # every form was tried
        message = "there is no network to plan for"
        raise ConfigError(message)
    message = (
        f"the network {least.network.name!r} does not fit into {_gb(fitter.target)}: with a patch of "
        f"{list(least.patch)} and one at a time it still needs about {_gb(least.memory.total)}; give it more memory "
        "(--vram, safety.vram_target_bytes) or choose a smaller network"
    )
    raise ConfigError(message)


def _with_batch(fitter: Fitter, fit: Fit, enough: int, reasons: _Reasons) -> Fit:
    if fitter.config.sampling.batch is not None:
        reasons.add("batch", "It is set in the configuration.", *_accumulated(fit))
        return fit
    most = min(_MOST_BATCH, max(_LEAST_BATCH, enough // fit.voxels))
    if fit.micro_batch < fit.batch or not fit.whole:
        reasons.add("batch", f"It is {fit.batch}, the least: memory goes to the patch first.", *_accumulated(fit))
        return fit
    larger = fitter.larger_batch(fit, most)
    reasons.add(
        "batch",
        f"The patch is as large as it should be, and {larger.batch} patches fit; more than {most} would show more than "
        f"{_BATCH_SHARE:.0%} of the data set's voxels in each step, or be more than {_MOST_BATCH}.",
    )
    return larger


def _accumulated(fit: Fit) -> list[str]:
    if fit.micro_batch == fit.batch:
        return []
    return [
        f"{fit.micro_batch} at a time go through the network and gradients are summed, so that a larger patch fits."
    ]


def _patch_sentences(fit: Fit, fitter: Fitter, first: Shape) -> list[str]:
    median = " x ".join(f"{n:.0f}" for n in fitter.voxels)
    share = min(1.0, math.prod(min(p, n) / n for p, n in zip(fit.patch, fitter.voxels, strict=True)))
    sentences = [f"The median case has {median} voxels at this spacing; a patch shows {share:.0%} of it."]
    if fit.whole:
        sentences.append(f"It is the largest that is wanted, {list(first)}, rounded up to what the network takes.")
    else:
        sentences.append(
            f"{list(first)} would be wanted; it was shortened along the axis that showed most of the median case until "
            f"{fit.micro_batch} at once fit into {_gb(fitter.target)}."
        )
    return sentences


def _width_sentence(fit: Fit, forms: list[NetworkConfig]) -> str:
    if len(forms) == 1:
        return "Its width is set in the configuration, or has one value only."
    width = {key: value for key, value in fit.network.options.items() if forms[0].options.get(key) != value}
    width = {key: value for key, value in width.items() if key in forms[0].options}
    if not width:
        return "It has the width of its paper."
    told = ", ".join(f"{key} {value}" for key, value in width.items())
    return f"It was made narrower ({told}), so that the patch need not be smaller than 96 voxels cubed."


def _memory_sentence(memory: Memory, target: int) -> str:
    more = "training" if memory.step >= memory.validation else "validation"
    verb = "fits into" if memory.total <= target else "is more than"
    return (
        f"About {_gb(memory.total)} are needed, most of them in {more}, which {verb} {_gb(target)}; counted tensor by "
        "tensor, with an allowance for what the GPU's libraries take, which was not measured on a GPU."
    )


def _plain(network: NetworkConfig) -> dict[str, object]:
    return dict(network.options)


def _halves(n: int) -> list[int]:
    found = [n]
    while found[-1] > 1:
        found.append(found[-1] // 2)
    return found


def _gb(nbytes: int) -> str:
    return f"{nbytes / 1024**3:.1f} GiB"
