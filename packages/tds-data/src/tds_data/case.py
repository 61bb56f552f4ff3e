"""One patient's registered sequences."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tds_data.errors import GridMismatch, SequenceNotFound
from tds_data.vocabulary import MODALITIES, Modality
from tds_data.volume import Volume


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """One patient's sequences on one shared grid, with an optional reference mask.

    Attributes:
        name: A short label without patient identifiers, used for display and file names.
        images: One volume for each sequence present, in model order; never empty.
        reference: Expert mask with labels 0 to 3 on the same grid, if there is one.

    Raises:
        SequenceNotFound: If there is no image at all, or one under a name that is no sequence.
        GridMismatch: If images or mask do not share one grid.
    """

    name: str
    images: Mapping[Modality, Volume]
    reference: Volume | None = None

    def __post_init__(self) -> None:
        if not self.images:
            message = "a case needs at least one of T1, T1ce, T2, FLAIR; none was given"
            raise SequenceNotFound(message)
        strange = sorted(set(self.images) - set(MODALITIES))
        if strange:
            message = f"a case knows the sequences {', '.join(MODALITIES)}; not {', '.join(strange)}"
            raise SequenceNotFound(message)
        ordered = {m: self.images[m] for m in MODALITIES if m in self.images}
        object.__setattr__(self, "images", MappingProxyType(ordered))
        named: list[tuple[str, Volume]] = [*ordered.items()]
        if self.reference is not None:
            named.append(("reference mask", self.reference))
        for name, volume in named:
            if not self.grid.same_grid(volume):
                raise GridMismatch(_mismatch(named[0][0], self.grid, name, volume))

    @property
    def grid(self) -> Volume:
        """The first image, whose grid all others share."""
        return next(iter(self.images.values()))

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """The sequences present, in model order."""
        return tuple(self.images)


def _mismatch(first: str, grid: Volume, second: str, volume: Volume) -> str:
    def describe(v: Volume) -> str:
        spacing = " x ".join(f"{s:.3g}" for s in v.spacing_mm)
        return f"{v.shape} voxels of {spacing} mm"

    return (
        f"{first} ({describe(grid)}) and {second} ({describe(volume)}) are not on the same grid; "
        "register and resample all sequences to one of them first"
    )
