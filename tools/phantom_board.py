"""Draw the board of phantoms that the documentation shows.

    python tools/phantom_board.py docs/pictures/phantoms.png

Needs the extras tds-data[phantom,report]. Every tile is one phantom: T1 and T1ce above, T2 and FLAIR below.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from tds_data import Case, Label, Modality
from tds_data.phantoms import PhantomSet, draw_config, make_phantom

COLUMNS, ROWS = 6, 4
WIDTH, HEIGHT = 102, 126
GAP, HEAD = 3, 16
SPACING_MM = 1.4
FIRST_SEED = 900


def main() -> None:
    """Make the phantoms and write the picture."""
    parser = argparse.ArgumentParser(description="Draw a board of phantoms.")
    parser.add_argument("output", type=Path, help="PNG file to write")
    output: Path = parser.parse_args().output
    wanted = PhantomSet(count=COLUMNS * ROWS, seed=FIRST_SEED, spacing_mm=SPACING_MM)
    tiles = [_tile(make_phantom(draw_config(wanted, seed))) for seed in wanted.seeds]
    rows = [np.hstack(tiles[r * COLUMNS : (r + 1) * COLUMNS]) for r in range(ROWS)]
    picture = Image.fromarray(np.vstack([np.full((HEAD, rows[0].shape[1]), 70, np.uint8), *rows]))
    words = "Phantoms: synthetic, no patients. T1, T1ce / T2, FLAIR. Research use only."
    ImageDraw.Draw(picture).text((5, 2), words, fill=255)
    picture.quantize(64).save(output, optimize=True)
    print(f"{output}: {output.stat().st_size // 1000} kB")


def _tile(case: Case) -> NDArray[np.uint8]:
    labels = np.zeros((1, 1, 1)) if case.reference is None else np.asarray(case.reference.voxels, np.float64)
    weight = np.where(labels == Label.ED, 0.01, labels > 0)  # the core decides, and the oedema where there is none
    level = int(np.argmax(weight.sum(axis=(0, 1))))
    t1, t1ce, t2, flair = (_slice(case, modality, level) for modality in Modality)
    inner = np.vstack([np.hstack([t1, t1ce]), np.hstack([t2, flair])])
    return np.pad(inner, GAP, constant_values=70)


def _slice(case: Case, modality: Modality, level: int) -> NDArray[np.uint8]:
    voxels = case.images[modality].voxels.astype(np.float32)
    shown = np.clip(voxels[:, :, level] * (255 / np.percentile(voxels[voxels > 0], 99.7)), 0, 255)
    turned = np.rot90(shown)[:HEIGHT, :WIDTH]
    above, beside = (HEIGHT - turned.shape[0]) // 2, (WIDTH - turned.shape[1]) // 2
    canvas = np.zeros((HEIGHT, WIDTH), np.uint8)
    canvas[above : above + turned.shape[0], beside : beside + turned.shape[1]] = turned.astype(np.uint8)
    return canvas


if __name__ == "__main__":
    main()
