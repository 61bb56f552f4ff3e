"""How much tumour each case has, by its expert's mask."""

from functools import partial
from typing import Final

import numpy as np

from tds_data.datasets._pool import Progress, run_all
from tds_data.datasets.manifest import CaseEntry, FileEntry, Manifest
from tds_data.datasets.schemes import IGNORED, find_scheme, whole_numbers
from tds_data.errors import DatasetError
from tds_data.formats.images import open_image
from tds_data.volume import Volume

_TUMOUR: Final = "tumour"
_NO_TUMOUR: Final = frozenset({"RC", "liver", IGNORED})
_DIGITS: Final = 3  # of millilitres, one cubic millimetre: further ones differ between machines


def tumour_volumes_ml(
    manifest: Manifest, *, workers: int | None = None, progress: Progress | None = None
) -> dict[str, float]:
    """Return the millilitres of tumour in each case that has a mask, to a cubic millimetre.

    Where one label is called tumour (cancer, lesion), it alone counts. Otherwise all labels do but resection cavities
    and what nnU-Net ignores.

    Args:
        manifest: The data set.
        workers: How many masks are read at a time; one for each core by default.
        progress: Told how many are read.

    Raises:
        VolumeReadError: If a mask cannot be read.
        LabelError: If a mask holds something else than whole numbers.
        DatasetError: If a file holds fewer images than the manifest says.
    """
    cases = [case for case in manifest.cases if case.mask is not None]
    measure = partial(_volume_ml, manifest)
    volumes = run_all(measure, cases, workers=workers, progress=progress, what="measuring tumours")
    return {case.name: volume for case, volume in zip(cases, volumes, strict=True)}


def _volume_ml(manifest: Manifest, case: CaseEntry) -> float:
    if case.mask is None:  # pragma: no cover  # only cases with a mask are asked for
        return 0.0
    mask = _read(manifest, case.mask)
    labels = whole_numbers(mask.voxels)
    tissues = find_scheme(manifest.scheme, manifest.labels).tissues
    named = [number for number, tissue in tissues.items() if tissue == _TUMOUR]
    if named:
        count = int(np.isin(labels, named).sum())
    else:
        others = [number for number, tissue in tissues.items() if tissue in _NO_TUMOUR]
        count = int(np.count_nonzero(labels)) - int(np.isin(labels, others).sum())
    return round(count * mask.voxel_volume_ml, _DIGITS)


def _read(manifest: Manifest, file: FileEntry) -> Volume:
    path = manifest.path(file)
    volumes = open_image(path).read_all() if file.index is not None else [open_image(path).read()]
    if (file.index or 0) >= len(volumes):
        message = f"{path.name!r} holds {len(volumes)} images, and number {file.index} is asked for; index it again"
        raise DatasetError(message)
    return volumes[file.index or 0]
