"""The images that results are made from and refer to."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from tds_clinical.dicom._dataset import read_dataset
from tds_clinical.dicom._model import SeriesFiles
from tds_clinical.dicom._quiet import quiet_pydicom
from tds_clinical.dicom._tags import text
from tds_clinical.dicom.volume import grid_of
from tds_data.volume import Volume


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFrame:
    """Which stored picture one slice of a volume is.

    Attributes:
        instance: Index of its header in `SourceSeries.headers`.
        frame: Frame number, counted from 1, in a multi-frame image; `None` in a single-frame one.
    """

    instance: int
    frame: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SourceSeries:
    """A series as results refer to it.

    Attributes:
        shape: Voxels along x, y, z of the volume that was read of it: columns, rows, slices.
        ras_from_voxel: Its affine, shape (4, 4), RAS+ millimetres.
        headers: Whole headers, without pixels, of its files.
        frames: For each slice along z the stored picture that it is; `None` if the volume was resampled, or its slices
            are no frames of their own (a mosaic), so that results can refer to whole images only.
    """

    shape: tuple[int, int, int]
    ras_from_voxel: NDArray[np.float64]
    headers: tuple[Dataset, ...] = field(repr=False)
    frames: tuple[SourceFrame, ...] | None

    @property
    def header(self) -> Dataset:
        """Header of one of the files, for what all of them share: patient, study, frame of reference."""
        return self.headers[0]

    @property
    def frame_of_reference_uid(self) -> str:
        """UID of the coordinate system, empty if the files name none."""
        return text(self.header, "FrameOfReferenceUID")

    def is_grid_of(self, volume: Volume) -> bool:
        """Tell whether a volume lies on this series' voxels.

        Args:
            volume: A mask or an image.
        """
        return Volume(np.broadcast_to(np.uint8(0), self.shape), self.ras_from_voxel).same_grid(volume)


def read_source(series: SeriesFiles, *, resample: bool = False) -> SourceSeries:
    """Return a series as results refer to it, on the grid that `read_series` reads it on.

    Args:
        series: The series, or one volume of it.
        resample: As for `read_series`.

    Raises:
        ClinicalError: As `read_series`.
    """
    with quiet_pydicom():
        layout = grid_of(series, resample=resample)
    files = {plane.file.path: index for index, plane in reversed(list(enumerate(layout.planes)))}
    paths = sorted(files, key=files.__getitem__)
    instance = {path: index for index, path in enumerate(paths)}
    whole = layout.irregularity or series.is_mosaic
    frames = (SourceFrame(instance=instance[p.file.path], frame=p.file.frame) for p in layout.planes)
    with quiet_pydicom():
        headers = tuple(map(read_dataset, paths))
    return SourceSeries(
        shape=layout.shape,
        ras_from_voxel=layout.ras_from_voxel,
        headers=headers,
        frames=None if whole else tuple(frames),
    )
