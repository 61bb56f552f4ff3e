"""Augmenting patches and doing it again from the record."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from tds_data.box import Shape
from tds_data.errors import AugmentError
from tds_data.loading.augmentation.config import AugmentConfig
from tds_data.loading.augmentation.draw import draw
from tds_data.loading.augmentation.intensity import apply_step
from tds_data.loading.augmentation.mixing import draw_mixing, mix
from tds_data.loading.augmentation.place import Placement, place
from tds_data.loading.augmentation.record import AugmentRecord, Dropout, Mixing
from tds_data.loading.augmentation.source import TensorSource, VoxelSource, tensor_source
from tds_data.loading.augmentation.workspace import Workspace, one_thread

Donor = tuple[str, VoxelSource]
"""A case with a lesion to mix in, and its name."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Patch:
    """A part of a case as a network sees it.

    Attributes:
        image: Float32 tensor of shape (channel, x, y, z), z-scores or windows from -1 to 1; channels that are absent
            are all zero.
        labels: Uint8 tensor of shape (x, y, z).
        windowed: Numbers of the channels with a window: they stay between -1 and 1, and -1 is what lies outside.
    """

    image: Tensor
    labels: Tensor
    windowed: tuple[int, ...] = ()


def augment(
    patch: Patch,
    config: AugmentConfig,
    rng: np.random.Generator,
    *,
    shape: Shape | None = None,
    donor: tuple[str, Patch] | None = None,
) -> tuple[Patch, AugmentRecord]:
    """Return a changed copy of a patch, and the record of how.

    Args:
        patch: On any device; the work is done there.
        config: Chances and ranges.
        rng: Source of randomness.
        shape: Voxels of the result, cut from the middle; as many as the patch has if left out. A larger patch leaves
            room for rotation.
        donor: Another case to mix a lesion in from, and its name.

    Raises:
        AugmentError: If the tensors are not of these shapes.

    Examples:
        >>> import numpy as np, torch
        >>> patch = Patch(image=torch.rand(4, 16, 16, 16), labels=torch.zeros(16, 16, 16, dtype=torch.uint8))
        >>> changed, record = augment(patch, AugmentConfig(mirror_chance=1.0), np.random.default_rng(0))
        >>> bool((changed.image == patch.image.flip(1, 2, 3)).all())
        True
        >>> bool((replay(patch, record).image == changed.image).all())
        True
    """
    _check(patch)
    present = [bool(there) for there in (patch.image != 0).flatten(1).any(1).tolist()]
    record = draw(config, rng, present, windowed=patch.windowed)
    workspace = Workspace(patch.image.device)

    def mixing(image: Tensor) -> Mixing | None:
        if donor is None or not rng.random() < config.mixing_chance:
            return None
        return draw_mixing(donor[0], _source(donor[1]), image, rng)

    return _run(patch, record, shape or _shape(patch), donor and donor[1], workspace, mixing)


def replay(patch: Patch, record: AugmentRecord, *, shape: Shape | None = None, donor: Patch | None = None) -> Patch:
    """Return the identical result once more.

    Args:
        patch: As it was given to `augment`, on the same kind of device.
        record: What `augment` returned.
        shape: As it was given to `augment`.
        donor: As it was given to `augment`, if the record tells of one.

    Raises:
        AugmentError: If the donor is missing.
    """
    _check(patch)
    if record.mixing is not None and donor is None:
        message = f"the record mixes in a lesion of {record.mixing.donor!r}; give that case as donor"
        raise AugmentError(message)
    return _run(patch, record, shape or _shape(patch), donor, Workspace(patch.image.device), None)[0]


def augment_batch(
    images: Tensor,
    labels: Tensor,
    config: AugmentConfig,
    rngs: Sequence[np.random.Generator],
    *,
    shape: Shape | None = None,
    windowed: tuple[int, ...] = (),
) -> tuple[Tensor, Tensor, tuple[AugmentRecord, ...]]:
    """Return a changed copy of a batch, computed where the batch is: on a GPU if it is there.

    Lesions are mixed between neighbours in the batch.

    Args:
        images: Float32 tensor of shape (batch, channel, x, y, z).
        labels: Uint8 tensor of shape (batch, x, y, z).
        config: Chances and ranges.
        rngs: A source of randomness for each patch.
        shape: Voxels of the results, as for `augment`.
        windowed: Numbers of the channels with a window; see `Patch`.

    Raises:
        AugmentError: If the tensors are not of these shapes.
    """
    results, records = [], []
    count = len(images)
    patches = [Patch(image=image, labels=mask, windowed=windowed) for image, mask in zip(images, labels, strict=True)]
    for i, rng in enumerate(rngs):
        near = (i + 1) % count
        donor = (str(near), patches[near]) if count > 1 else None
        patch, record = augment(patches[i], config, rng, shape=shape, donor=donor)
        results.append(patch)
        records.append(record)
    return torch.stack([p.image for p in results]), torch.stack([p.labels for p in results]), tuple(records)


def fill_patch(
    source: VoxelSource,
    start: Shape,
    record: AugmentRecord,
    out: Patch,
    workspace: Workspace,
    *,
    donor: Callable[[Tensor], tuple[Mixing, VoxelSource] | None],
) -> AugmentRecord:
    """Cut a patch from a case and change it, in memory that is there.

    What was background stays zero, channel by channel with a window between -1 and 1.

    Args:
        source: The case.
        start: The voxel under the patch's first, were nothing turned; may lie outside.
        record: What to do; a lesion in it is asked for from `donor`.
        out: Where to put it.
        workspace: Scratch on the same device.
        donor: Given the patch so far, returns the lesion to mix in, if any.

    Returns:
        The record with the lesion that was mixed in.
    """
    x, y, z = out.labels.shape
    place(source, Placement(start=start, shape=(x, y, z), geometry=record.geometry), out.image, out.labels, workspace)
    mixing = donor(out.image)
    if mixing is not None:
        mix(mixing[0], mixing[1], out.image, out.labels, workspace)
    _change(out.image, record, source.windowed, workspace)
    return replace(record, mixing=None if mixing is None else mixing[0])


def _change(image: Tensor, record: AugmentRecord, windowed: tuple[int, ...], workspace: Workspace) -> None:
    """Change intensities; outside the head all z-scores stay zero, and windows stay between their ends."""
    steps = record.steps
    scored = [channel for channel in range(image.shape[0]) if channel not in windowed]
    changed = any(not isinstance(step, Dropout) for step in steps)
    head = _head(image, scored, workspace) if changed and scored else None
    for step in steps:
        apply_step(step, image, workspace)
    if head is not None:
        for channel in scored:
            image[channel].mul_(head)
    if changed:
        for channel in windowed:
            image[channel].clamp_(-1, 1)


def _run(
    patch: Patch,
    record: AugmentRecord,
    shape: Shape,
    donor: Patch | None,
    workspace: Workspace,
    mixing: Callable[[Tensor], Mixing | None] | None,
) -> tuple[Patch, AugmentRecord]:
    out = Patch(
        image=torch.empty((patch.image.shape[0], *shape), device=patch.image.device),
        labels=torch.empty(shape, dtype=torch.uint8, device=patch.image.device),
        windowed=patch.windowed,
    )

    def find(image: Tensor) -> tuple[Mixing, VoxelSource] | None:
        step = record.mixing if mixing is None else mixing(image)
        return None if step is None or donor is None else (step, _source(donor))

    a, b, c = ((n - m) // 2 for n, m in zip(_shape(patch), shape, strict=True))
    with one_thread(), torch.no_grad():
        done = fill_patch(_source(patch), (a, b, c), record, out, workspace, donor=find)
    return out, done


def _source(patch: Patch) -> TensorSource:
    there = tuple(channel for channel in patch.windowed if bool(patch.image[channel].any()))
    return tensor_source(patch.image, patch.labels, there)


def _head(image: Tensor, channels: Sequence[int], workspace: Workspace) -> Tensor:
    """Return 1 where any of the channels is not zero, 0 elsewhere."""
    shape = tuple(image.shape[1:])
    head, other = workspace.get("head", shape), workspace.get("a", shape)
    torch.ne(image[channels[0]], 0, out=head)
    for channel in channels[1:]:
        torch.maximum(head, torch.ne(image[channel], 0, out=other), out=head)
    return head


def _check(patch: Patch) -> None:
    image, labels = patch.image, patch.labels
    if image.ndim != 4 or image.dtype != torch.float32 or tuple(labels.shape) != tuple(image.shape[1:]):  # noqa: PLR2004
        message = (
            "a patch is a float32 image of shape (channel, x, y, z) and labels of shape (x, y, z); these are "
            f"{image.dtype} {tuple(image.shape)} and {tuple(labels.shape)}"
        )
        raise AugmentError(message)


def _shape(patch: Patch) -> Shape:
    x, y, z = patch.labels.shape
    return x, y, z
