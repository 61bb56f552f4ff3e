"""What was done to a patch, as numbers that can be written down and done again."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from tds_data.errors import AugmentError

Triple = tuple[float, float, float]
"""One number for each of x, y, z."""
Matrix = tuple[Triple, Triple, Triple]
"""Rows of a 3 x 3 matrix."""
IDENTITY: Final[Matrix] = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Elastic:
    """A smooth deformation: cubic B-splines over a lattice of control points.

    Attributes:
        seed: Of the displacements, which are uniform.
        spacing_voxels: Distance between control points.
        magnitude_voxels: Largest displacement along each axis.
    """

    seed: int
    spacing_voxels: float
    magnitude_voxels: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """Where each voxel of the patch comes from: source = matrix (mirrored (voxel - middle) + displacement) + middle.

    Attributes:
        mirrored: Whether each axis of the patch is mirrored.
        matrix: From offsets in the patch to offsets in the source, in voxels.
        elastic: Displacements in the patch before the matrix.
    """

    mirrored: tuple[bool, bool, bool] = (False, False, False)
    matrix: Matrix = IDENTITY
    elastic: Elastic | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixing:
    """Another patient's lesion, blended in.

    Attributes:
        donor: Name of the other case.
        start: First voxel of the part of the donor that is used.
        shape: Its voxels along x, y, z.
        mirrored: Whether each axis of it is mirrored.
        target: Voxel of the patch that its first voxel lands on; may lie outside.
    """

    donor: str
    start: tuple[int, int, int]
    shape: tuple[int, int, int]
    mirrored: tuple[bool, bool, bool]
    target: tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """Gaussian noise on the channels.

    Attributes:
        channels: Which.
        std: Its standard deviation.
        seed: Of the generator of the device that the patch is on.
    """

    channels: tuple[int, ...]
    std: float
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Blur:
    """Gaussian blur.

    Attributes:
        sigmas_voxels: For each channel that is blurred, its standard deviation along each axis.
    """

    sigmas_voxels: Mapping[int, Triple]


@dataclass(frozen=True, slots=True, kw_only=True)
class Brightness:
    """Factors.

    Attributes:
        factors: For each channel.
    """

    factors: Mapping[int, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """Stretch about the mean, within the range that was.

    Attributes:
        factors: For each channel.
    """

    factors: Mapping[int, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class LowResolution:
    """Nearest-neighbour sampling on fewer voxels, and linear interpolation back.

    Attributes:
        shares: For each channel, the share of voxels left along each axis.
    """

    shares: Mapping[int, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gamma:
    """A gamma curve over the range of a channel, mean and deviation kept.

    Attributes:
        exponents: For each channel.
        inverted: Whether the curve acts on the negative.
    """

    exponents: Mapping[int, float]
    inverted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BiasField:
    """A smooth factor: the exponential of Legendre polynomials of degree up to 3, over the intensity above the minimum.

    Attributes:
        coefficients: For each channel, those with i + j + k at most 3, in order of i, then j, then k.
    """

    coefficients: Mapping[int, tuple[float, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropout:
    """Sequences that are blanked.

    Attributes:
        channels: Which.
    """

    channels: tuple[int, ...]


Step = Noise | Blur | Brightness | Contrast | LowResolution | Gamma | BiasField | Dropout
"""A change of intensities."""

_KINDS: Final[dict[str, type[Step]]] = {
    "noise": Noise,
    "blur": Blur,
    "brightness": Brightness,
    "contrast": Contrast,
    "low_resolution": LowResolution,
    "gamma": Gamma,
    "bias_field": BiasField,
    "dropout": Dropout,
}
_NAMES: Final = {kind: name for name, kind in _KINDS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentRecord:
    """Everything that was done to a patch, in order: geometry, mixing, steps.

    Attributes:
        geometry: Where voxels come from.
        mixing: Another patient's lesion, if one was blended in.
        steps: Changes of intensities.

    Examples:
        >>> record = AugmentRecord(steps=(Brightness(factors={0: 1.5}),))
        >>> AugmentRecord.from_dict(record.to_dict()) == record
        True
    """

    geometry: Geometry = Geometry()
    mixing: Mixing | None = None
    steps: tuple[Step, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "geometry": _plain(asdict(self.geometry)),
            "mixing": None if self.mixing is None else _plain(asdict(self.mixing)),
            "steps": [{"kind": _NAMES[type(step)], **_plain(asdict(step))} for step in self.steps],
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "AugmentRecord":
        """Return the record that `to_dict` wrote, before or after JSON.

        Args:
            document: Its plain form.

        Raises:
            AugmentError: If it is none.
        """
        try:
            geometry = dict(document["geometry"])
            elastic = geometry.pop("elastic")
            mixing = document["mixing"]
            return cls(
                geometry=Geometry(elastic=None if elastic is None else Elastic(**elastic), **_frozen(geometry)),
                mixing=None if mixing is None else Mixing(**_frozen(mixing)),
                steps=tuple(_step(step) for step in document["steps"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            message = f"this is no record of an augmentation ({type(error).__name__}: {error})"
            raise AugmentError(message) from error


def _step(document: Mapping[str, Any]) -> Step:
    values = dict(document)
    kind = _KINDS[values.pop("kind")]
    return kind(**_frozen(values))


def _plain(value: Any) -> Any:  # noqa: ANN401  # any JSON value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _frozen(value: Any) -> Any:  # noqa: ANN401  # any JSON value
    if isinstance(value, Mapping):
        return {int(key) if str(key).isdigit() else key: _frozen(item) for key, item in value.items()}
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
