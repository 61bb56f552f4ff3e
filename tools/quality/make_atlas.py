"""Make the average brain that the content checks compare with.

    python tools/quality/make_atlas.py [-o atlas.npz]

Reduces the ICBM 2009a nonlinear symmetric template, which nilearn ships as files, to 4 mm and stores its right half.
Needs nilearn's files (extra `phantom` of tds-data).
"""

import argparse
import importlib.util
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tds_data.quality.content.atlas import ATLAS_SPACING_MM

HERE = Path(__file__).resolve().parents[2]
TARGET = HERE / "packages/tds-data/src/tds_data/quality/content/atlas.npz"
FILE = "mni_icbm152_{}_tal_nlin_sym_09a_converted.nii.gz"
AXES_MM = (np.arange(0, 77, ATLAS_SPACING_MM), np.arange(-112, 81, ATLAS_SPACING_MM), np.arange(-76, 89, 4.0))
BRAIN_FROM = 8
"""The T1 template is zero outside the brain; values below this are the blur of its border."""


def template(kind: str) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return one of the template's images and its affine."""
    spec = importlib.util.find_spec("nilearn")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("nilearn is not installed: pip install 'tds-data[phantom]'")
    path = Path(spec.submodule_search_locations[0]) / "datasets" / "data" / FILE.format(kind)
    image = nib.load(path)
    return np.asarray(image.dataobj, np.float32), np.asarray(image.affine, np.float64)


def reduced(voxels: NDArray[np.float32], affine: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return an image in [0, 1], averaged to the atlas's voxels at x >= 0, as 0 to 255."""
    averaged = ndimage.uniform_filter(voxels, size=int(ATLAS_SPACING_MM))
    averaged = (averaged + averaged[::-1]) / 2
    places = np.stack(np.meshgrid(*AXES_MM, indexing="ij"))
    indices = np.einsum("ij,jxyz->ixyz", np.linalg.inv(affine)[:3, :3], places)
    indices += np.linalg.inv(affine)[:3, 3][:, None, None, None]
    values = ndimage.map_coordinates(averaged, indices, order=1)
    return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description="Make the average brain of the content checks.")
    parser.add_argument("-o", "--output", type=Path, default=TARGET, help="file to write")
    arguments = parser.parse_args()
    t1, affine = template("t1")
    white, grey = (template(kind)[0] / 255 for kind in ("wm", "gm"))
    brain = ndimage.binary_fill_holes(t1 > BRAIN_FROM).astype(np.float32)
    tissues = np.stack([reduced(part, affine) for part in (brain, white * brain, grey * brain)])
    ras_from_atlas = np.diag([ATLAS_SPACING_MM] * 3 + [1.0])
    ras_from_atlas[:3, 3] = [-AXES_MM[0][-1], AXES_MM[1][0], AXES_MM[2][0]]
    np.savez_compressed(arguments.output, tissues=tissues, ras_from_atlas=ras_from_atlas)
    print(f"{arguments.output}: {arguments.output.stat().st_size / 1000:.0f} kB, {tissues.shape}")


if __name__ == "__main__":
    main()
