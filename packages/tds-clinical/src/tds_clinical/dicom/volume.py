"""A series becomes a volume."""

import logging
from collections.abc import Sequence

import numpy as np

from tds_clinical.dicom._duplicates import check_duplicates
from tds_clinical.dicom._layout import Layout, lay_out
from tds_clinical.dicom._model import SeriesFiles
from tds_clinical.dicom._pictures import read_pictures
from tds_clinical.dicom._planes import Plane, places
from tds_clinical.dicom._quiet import quiet_pydicom
from tds_clinical.dicom._resampling import resampled
from tds_clinical.errors import GeometryNotSupported
from tds_data.volume import Volume

_LOG = logging.getLogger(__name__)


def read_series(series: SeriesFiles, *, resample: bool = False) -> Volume:
    """Return the pictures of a series, or of one volume in it, as a volume.

    Slices are ordered by their place along the slice normal, never by Instance Number. An image that is there twice
    is read once, with a logged warning.

    Args:
        series: Classic images, frames of an enhanced image, or tiles of a mosaic.
        resample: Whether slices that lie on no regular grid (a tilted gantry, uneven spacing) are resampled to one,
            linearly; otherwise they are refused. `irregularity` tells of a series whether it would be. Slices that are
            missing are never made up.

    Returns:
        Voxels of shape (columns, rows, slices): `voxels[i, j, k]` is column `i` of row `j` of slice `k`. They keep the
        stored integer type unless a rescale slope or intercept applies or they were resampled, then they are float32.

    Raises:
        DicomReadError: If a file is damaged, lacks its geometry, or contradicts another file of the same image.
        IncompleteSeries: If slices are missing or, unless resampling, unevenly spaced.
        GeometryNotSupported: If places hold more than one picture, or the slices are a single one or irregular.
    """
    with quiet_pydicom():
        check_duplicates(series)
        layout = lay_out(series, _one_per_place(series, places(series)), resample=resample)
        slices = read_pictures(layout.planes)
    if layout.irregularity:
        _LOG.warning("series_resampled series=%s", series.number)
        slices = resampled(slices, layout)
    return Volume(slices.transpose(2, 1, 0), layout.ras_from_voxel)


def irregularity(series: SeriesFiles) -> str:
    """Return what keeps the slices of a volume off every regular grid, in words; empty if they lie on one.

    Such a volume can only be read resampled, and whoever sees its results should know.

    Args:
        series: The volume.

    Raises:
        ClinicalError: As `read_series`.
    """
    return grid_of(series, resample=True).irregularity


def grid_of(series: SeriesFiles, *, resample: bool = False) -> Layout:
    """Return the grid that `read_series` reads a volume on.

    Args:
        series: The volume.
        resample: As for `read_series`.

    Raises:
        ClinicalError: As `read_series`.
    """
    return lay_out(series, [group[0] for group in places(series)], resample=resample)


def _one_per_place(series: SeriesFiles, grouped: Sequence[Sequence[Plane]]) -> list[Plane]:
    repeated = [group for group in grouped if len(group) > 1]
    for group in repeated:
        first, *others = read_pictures(group)
        if not all(np.array_equal(first, other) for other in others):
            reason = (
                f"{len(repeated)} of its {len(grouped)} slice places hold more than one image, and nothing in their "
                "headers tells one volume from the other; export one volume as one series"
            )
            raise GeometryNotSupported(series.label, reason)
    if repeated:
        _LOG.warning("identical_slices_dropped series=%s places=%d", series.number, len(repeated))
    return [group[0] for group in grouped]
