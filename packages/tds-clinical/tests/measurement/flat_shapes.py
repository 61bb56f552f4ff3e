"""What lines across flat shapes are, worked out again the long way: by trying."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

STEP = 0.1

Mask = NDArray[np.bool_]


def pieces_of(passable: Mask) -> list[Mask]:
    filled = ndimage.binary_fill_holes(np.pad(passable, 1))[1:-1, 1:-1]
    labels, count = ndimage.label(filled, structure=np.ones((3, 3)))
    return [labels == number for number in range(1, count + 1)]


def edge_middles(pixels: Mask) -> NDArray[np.float64]:
    """Return the points halfway between the centres of pixels inside and those outside, shape (n, 2)."""
    inside = np.pad(pixels, 1)
    points = []
    for step in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        border = inside & ~np.roll(inside, (-step[0], -step[1]), (0, 1))
        points.append(np.argwhere(border) - 1 + np.array(step) / 2)
    return np.concatenate(points)


def contains(pixels: Mask, points: NDArray[np.float64]) -> Mask:
    """Tell which points (n, 2) lie within the outline: in each cell of four pixels, within the hull of what is in."""
    padded = np.pad(pixels, 2)
    base = np.floor(points).astype(int)
    first, second = (points - base).T
    base = np.clip(base + 2, 0, np.array(padded.shape) - 2)
    corners = np.stack([padded[base[:, 0] + a, base[:, 1] + b] for a in (0, 1) for b in (0, 1)], axis=1)
    away = np.stack([np.abs(first - a) + np.abs(second - b) for a in (0, 1) for b in (0, 1)], axis=1)
    count = corners.sum(axis=1)
    by_first = np.where(corners[:, 0], first, 1 - first) <= 0.5
    by_second = np.where(corners[:, 0], second, 1 - second) <= 0.5
    cut = np.where(corners, np.inf, away).min(axis=1) >= 0.5
    lone = np.where(corners, away, np.inf).min(axis=1) <= 0.5
    is_row = corners[:, 0] == corners[:, 1]
    is_column = corners[:, 0] == corners[:, 2]
    pair = np.where(is_row, by_first, np.where(is_column, by_second, cut))
    return np.select(
        [count == 0, count == 1, count == 2, count == 3], [np.zeros_like(cut), lone, pair, cut], default=True
    )


def longest_line(region: Mask, passable: Mask, from_pixels: NDArray[np.float64]) -> float:
    best = 0.0
    for piece in pieces_of(passable):
        points = edge_middles(region & piece) @ from_pixels.T
        if len(points):
            best = max(best, float(np.linalg.norm(points[:, None] - points[None], axis=2).max()))
    return best


def piece_of(line: NDArray[np.float64], region: Mask, passable: Mask) -> Mask:
    """Return the piece on whose outline both ends of a line (pixels) lie."""
    for piece in pieces_of(passable):
        points = edge_middles(region & piece)
        if all(len(points) and np.linalg.norm(points - end, axis=1).min() < 1e-6 for end in line):
            return piece
    raise AssertionError


def longest_chord(region: Mask, body: Mask, direction: NDArray[np.float64], from_pixels: NDArray[np.float64]) -> float:
    """Return the longest line along a direction that starts and ends in a region and never leaves a body."""
    across = np.array([-direction[1], direction[0]])
    to_pixels = np.linalg.inv(from_pixels)
    corners = np.array([(a, b) for a in (-1, region.shape[0]) for b in (-1, region.shape[1])]) @ from_pixels.T
    # Off the corners: a line that stands on one exactly may slip through where two pixels only touch.
    stands, along = (
        np.arange(low + np.pi / 100, high, STEP)
        for low, high in ((places.min(), places.max()) for places in (corners @ across, corners @ direction))
    )
    places = stands[:, None, None] * across + along[None, :, None] * direction
    flat = places.reshape(-1, 2) @ to_pixels.T
    in_body = contains(body, flat).reshape(len(stands), len(along))
    in_region = contains(region & body, flat).reshape(len(stands), len(along))
    runs, _ = ndimage.label(in_body, structure=[[0, 0, 0], [1, 1, 1], [0, 0, 0]])
    inside = np.where(in_region, runs, 0)
    if not inside.any():
        return 0.0
    columns = np.broadcast_to(np.arange(len(along)), inside.shape)
    numbers = np.unique(inside[inside > 0])
    low = np.array(ndimage.minimum(columns, inside, numbers)).astype(int)
    high = np.array(ndimage.maximum(columns, inside, numbers)).astype(int)
    rows = np.array(ndimage.minimum(np.indices(inside.shape)[0], inside, numbers)).astype(int)
    # Notches that are narrower than a step are seen only when looked at more closely.
    for run in np.argsort(low - high):
        ends = np.stack([places[rows[run], low[run]], places[rows[run], high[run]]]) @ to_pixels.T
        if contains(body, ends[0] + np.linspace(0, 1, 4000)[:, None] * (ends[1] - ends[0])).all():
            return float(high[run] - low[run]) * STEP
    return 0.0
