"""What each loss may be told."""

import math
from dataclasses import dataclass
from typing import Final

from tds_core.errors import ConfigError
from tds_core.training.config.checks import check_positive, check_ranges

_MAX_LIMIT: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class DiceOptions:
    """Of `dice`.

    Attributes:
        smooth: Voxels that are added to both sides of the fraction.
    """

    smooth: float = 1.0

    def __post_init__(self) -> None:
        check_positive(smooth=self.smooth)


@dataclass(frozen=True, slots=True, kw_only=True)
class DiceCEOptions:
    """Of `dice_ce`.

    Attributes:
        dice: Weight of the Dice.
        ce: Weight of the cross-entropy.
        smooth: Voxels that are added to both sides of the Dice's fraction.
    """

    dice: float = 1.0
    ce: float = 1.0
    smooth: float = 1.0

    def __post_init__(self) -> None:
        check_positive(smooth=self.smooth)
        check_ranges(0, math.inf, dice=self.dice, ce=self.ce)
        check_positive(**{"the sum of dice and ce": self.dice + self.ce})


@dataclass(frozen=True, slots=True, kw_only=True)
class FocalOptions:
    """Of `focal`.

    Attributes:
        gamma: Exponent, 0 or at least 1; 0 is the plain cross-entropy.
    """

    gamma: float = 2.0

    def __post_init__(self) -> None:
        _check_gamma(self.gamma)


@dataclass(frozen=True, slots=True, kw_only=True)
class DiceFocalOptions:
    """Of `dice_focal`.

    Attributes:
        dice: Weight of the Dice.
        focal: Weight of the focal loss.
        gamma: Exponent of the focal loss, 0 or at least 1.
        smooth: Voxels that are added to both sides of the Dice's fraction.
    """

    dice: float = 1.0
    focal: float = 1.0
    gamma: float = 2.0
    smooth: float = 1.0

    def __post_init__(self) -> None:
        check_positive(smooth=self.smooth)
        check_ranges(0, math.inf, dice=self.dice, focal=self.focal)
        check_positive(**{"the sum of dice and focal": self.dice + self.focal})
        _check_gamma(self.gamma)


@dataclass(frozen=True, slots=True, kw_only=True)
class TverskyOptions:
    """Of `tversky`.

    Attributes:
        alpha: Weight of what is found and is not there.
        beta: Weight of what is there and is not found.
        smooth: Voxels that are added to both sides of the fraction.
    """

    alpha: float = 0.3
    beta: float = 0.7
    smooth: float = 1.0

    def __post_init__(self) -> None:
        check_positive(smooth=self.smooth, alpha=self.alpha, beta=self.beta)


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundaryOptions:
    """Of `boundary`.

    Attributes:
        dice: Weight of the Dice.
        ce: Weight of the cross-entropy.
        boundary: Weight of the boundary loss.
        limit: Voxels beyond which distances count alike, a whole number from 1 to 100; the time it takes grows with it.
        smooth: Voxels that are added to both sides of the Dice's fraction.
    """

    dice: float = 1.0
    ce: float = 1.0
    boundary: float = 1.0
    limit: float = 8.0
    smooth: float = 1.0

    def __post_init__(self) -> None:
        check_positive(smooth=self.smooth, boundary=self.boundary)
        check_ranges(0, math.inf, dice=self.dice, ce=self.ce)
        check_positive(**{"the sum of dice and ce": self.dice + self.ce})
        check_ranges(1, _MAX_LIMIT, limit=self.limit)
        if self.limit % 1:
            message = f"limit must be a whole number of voxels, not {self.limit}"
            raise ConfigError(message)


def _check_gamma(gamma: float) -> None:
    check_ranges(0, math.inf, gamma=gamma)
    if 0 < gamma < 1:
        message = f"gamma must be 0 or at least 1, not {gamma}: in between, its gradient is infinite at the target"
        raise ConfigError(message)
