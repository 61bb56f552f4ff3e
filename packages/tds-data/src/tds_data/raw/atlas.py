"""The ICBM152 average brain that nilearn ships (Fonov et al. 2011, NeuroImage 54(1), 313-327).

It holds the brain alone, T1-weighted, at 1 mm, without skull or face. Its file is read here; no code of nilearn runs.
"""

import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np

from tds_data.errors import MissingDependency
from tds_data.nifti import read_volume
from tds_data.volume import Volume

ATLAS_NAME: Final = "ICBM152 2009a nonlinear symmetric"
"""What the atlas is called in records."""

_FILE: Final = "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"


def load_atlas() -> Volume:
    """Return the T1-weighted average brain, uint8, zero outside the brain, 197 x 233 x 189 voxels of 1 mm.

    Raises:
        MissingDependency: If nilearn is not installed.
        VolumeReadError: If its file is missing or damaged.
    """
    spec = importlib.util.find_spec("nilearn")
    if spec is None or not spec.submodule_search_locations:
        raise MissingDependency("nilearn", "register")
    return _read(Path(next(iter(spec.submodule_search_locations))) / "datasets" / "data" / _FILE)


def atlas_brain() -> Volume:
    """Return the atlas's brain mask, uint8 of 0 and 1.

    Raises:
        MissingDependency: If nilearn is not installed.
    """
    atlas = load_atlas()
    return atlas.with_voxels((atlas.voxels != 0).astype(np.uint8))


@lru_cache(maxsize=1)
def _read(path: Path) -> Volume:
    return read_volume(path)
