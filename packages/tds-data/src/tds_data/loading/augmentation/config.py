"""How strongly patches are changed: three presets, and what they are made of."""

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Final

from tds_data.errors import AugmentError

Interval = tuple[float, float]
"""The smallest and the largest value of a uniform draw."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentConfig:
    """Chances and ranges of every change; a chance is for a patch unless it is said to be for a channel.

    Attributes:
        rotation_chance: Chance to rotate about all three axes.
        rotation_degrees: Largest angle about each axis.
        scale_chance: Chance to scale all axes by one factor.
        scale: Factor; above 1 the patch shows more, smaller.
        elastic_chance: Chance of a smooth deformation (cubic B-splines).
        elastic_spacing_voxels: Distance between control points.
        elastic_share: Largest displacement of a control point along an axis, as a share of that distance; below 0.4
            nothing folds (Choi and Lee 2000).
        mirror_chance: Chance to mirror, for each axis.
        noise_chance: Chance of Gaussian noise.
        noise_std: Its standard deviation.
        blur_chance: Chance of a Gaussian blur.
        blur_channel_chance: Chance for each channel then.
        blur_sigma_voxels: Its standard deviation, drawn for each channel and axis.
        brightness_chance: Chance to multiply each channel by a factor.
        brightness: The factor; below and above 1 are equally likely.
        contrast_chance: Chance to stretch each channel about its mean, within its range.
        contrast: The factor, as above.
        low_resolution_chance: Chance to sample coarser and back.
        low_resolution_channel_chance: Chance for each channel then.
        low_resolution: Share of the voxels left along each axis.
        inverted_gamma_chance: Chance of a gamma curve on the negative of each channel.
        gamma_chance: Chance of a gamma curve on each channel.
        gamma: Its exponent; below and above 1 are equally likely. Mean and deviation are kept.
        bias_chance: Chance of a smooth multiplicative field for each channel without a window.
        bias_coefficient: Largest coefficient of its Legendre polynomials.
        dropout_chance: Chance to blank sequences.
        dropout_channel_chance: Chance for each channel then; one that the case has always stays.
        mixing_chance: Chance to blend in another patient's lesion, where every label of the task is one.

    Raises:
        AugmentError: If a chance is not between 0 and 1, or an interval has no positive or no proper ends.
    """

    rotation_chance: float = 0.0
    rotation_degrees: float = 30.0
    scale_chance: float = 0.0
    scale: Interval = (0.7, 1.4)
    elastic_chance: float = 0.0
    elastic_spacing_voxels: float = 32.0
    elastic_share: float = 0.25
    mirror_chance: float = 0.0
    noise_chance: float = 0.0
    noise_std: Interval = (0.0, 0.1)
    blur_chance: float = 0.0
    blur_channel_chance: float = 0.5
    blur_sigma_voxels: Interval = (0.5, 1.0)
    brightness_chance: float = 0.0
    brightness: Interval = (0.75, 1.25)
    contrast_chance: float = 0.0
    contrast: Interval = (0.75, 1.25)
    low_resolution_chance: float = 0.0
    low_resolution_channel_chance: float = 0.5
    low_resolution: Interval = (0.5, 1.0)
    inverted_gamma_chance: float = 0.0
    gamma_chance: float = 0.0
    gamma: Interval = (0.7, 1.5)
    bias_chance: float = 0.0
    bias_coefficient: float = 0.12
    dropout_chance: float = 0.0
    dropout_channel_chance: float = 0.3
    mixing_chance: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name.endswith(("_chance", "_share")) and not 0 <= value <= 1:
                message = f"{field.name} is a share between 0 and 1; {value} was given"
                raise AugmentError(message)
            if isinstance(value, tuple) and not 0 <= value[0] <= value[1] < float("inf"):
                message = f"{field.name} runs from a smaller to a larger number, both at least 0; {value} was given"
                raise AugmentError(message)
        positive = {"scale": self.scale[0], "low_resolution": self.low_resolution[0], "gamma": self.gamma[0]}
        positive |= {"elastic_spacing_voxels": self.elastic_spacing_voxels}
        for name, value in positive.items():
            if value <= 0:
                message = f"{name} has to be above 0; {value} was given"
                raise AugmentError(message)


class Preset(StrEnum):
    """Names of the presets."""

    LIGHT = "light"
    STANDARD = "standard"
    HEAVY = "heavy"


LIGHT: Final = AugmentConfig(
    rotation_chance=0.1,
    rotation_degrees=10.0,
    scale_chance=0.1,
    scale=(0.9, 1.1),
    mirror_chance=0.5,
    noise_chance=0.1,
    noise_std=(0.0, 0.05),
    brightness_chance=0.15,
    brightness=(0.9, 1.1),
    contrast_chance=0.15,
    contrast=(0.9, 1.1),
)
"""Small changes, for large sets or fine-tuning."""

STANDARD: Final = AugmentConfig(
    rotation_chance=0.2,
    scale_chance=0.2,
    mirror_chance=0.5,
    noise_chance=0.1,
    blur_chance=0.2,
    brightness_chance=0.15,
    contrast_chance=0.15,
    low_resolution_chance=0.25,
    inverted_gamma_chance=0.1,
    gamma_chance=0.3,
)
"""The list and the chances of nnU-Net's default trainer (Isensee et al. 2021)."""

HEAVY: Final = AugmentConfig(
    rotation_chance=0.4,
    scale_chance=0.3,
    elastic_chance=0.3,
    mirror_chance=0.5,
    noise_chance=0.2,
    noise_std=(0.0, 0.15),
    blur_chance=0.25,
    blur_sigma_voxels=(0.5, 1.5),
    brightness_chance=0.3,
    brightness=(0.6, 1.4),
    contrast_chance=0.3,
    contrast=(0.6, 1.4),
    low_resolution_chance=0.3,
    low_resolution=(0.35, 1.0),
    inverted_gamma_chance=0.15,
    gamma_chance=0.3,
    bias_chance=0.25,
    dropout_chance=0.25,
    mixing_chance=0.2,
)
"""Strong changes, for small sets and other scanners; with absent sequences and mixed lesions."""

PRESETS: Final = {Preset.LIGHT: LIGHT, Preset.STANDARD: STANDARD, Preset.HEAVY: HEAVY}
"""Every preset by its name."""
