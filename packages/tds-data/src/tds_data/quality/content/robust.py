"""Least squares that a lesion does not pull away."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

_MAD_TO_DEVIATION: Final = 1.4826
_RIDGE: Final = 1e-7
_TINY: Final = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RobustFit:
    """A fitted model.

    Attributes:
        coefficients: Float64 of shape (terms,).
        residual: What the model leaves, shape (points,).
        spread: Robust standard deviation of the residual, never zero.
    """

    coefficients: NDArray[np.float64]
    residual: NDArray[np.float64]
    spread: float


def robust_fit(
    design: NDArray[np.float64], wanted: NDArray[np.float64], *, reach: float = 2.0, rounds: int = 3
) -> RobustFit:
    """Return a linear fit with Cauchy weights.

    Args:
        design: Float64 of shape (points, terms).
        wanted: Float64 of shape (points,).
        reach: Residuals beyond so many robust deviations count less than half.
        rounds: How often to weight anew.
    """
    weights = np.ones(len(wanted))
    for _ in range(rounds):
        weighted = design * weights[:, None]
        normal = weighted.T @ design
        ridge = _RIDGE * np.trace(normal) / len(normal) + _TINY
        normal[np.diag_indices_from(normal)] += ridge
        coefficients = np.asarray(np.linalg.solve(normal, weighted.T @ wanted), np.float64)
        residual = wanted - design @ coefficients
        spread = max(robust_deviation(residual), _TINY)
        weights = 1 / (1 + (residual / (reach * spread)) ** 2)
    return RobustFit(coefficients=coefficients, residual=residual, spread=spread)


def robust_deviation(values: NDArray[np.float64]) -> float:
    """Return the standard deviation that a normal distribution of the same median absolute value has.

    Args:
        values: Numbers about zero, any shape; never empty.
    """
    return _MAD_TO_DEVIATION * float(np.median(np.abs(values)))
