"""Files that hold an image which another file holds already, by its SOP Instance UID."""

import filecmp
import logging

import numpy as np

from tds_clinical.dicom._dataset import read_dataset
from tds_clinical.dicom._model import SeriesFiles, SliceFile
from tds_clinical.dicom._pixels import decode_pixels
from tds_clinical.dicom._tags import text, texts
from tds_clinical.errors import DicomReadError

_LOG = logging.getLogger(__name__)

_MEANINGFUL = (
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns", "NumberOfFrames"),
    *("RescaleSlope", "RescaleIntercept", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
)


def check_duplicates(series: SeriesFiles) -> None:
    """Check that files which claim to be the same image are; what differs in their encoding alone does not count.

    Args:
        series: A volume.

    Raises:
        DicomReadError: If one has other pixels or another place than the file that is read.
    """
    first = {text(file.header, "SOPInstanceUID"): file for file in reversed(series.slices)}
    for duplicate in series.duplicates:
        kept = first[text(duplicate.header, "SOPInstanceUID")]
        if not _same(kept, duplicate):
            reason = (
                f"it claims to be the same image (SOP Instance) as {kept.path.name!r} and holds something else; "
                "find out which of the two is right and remove the other"
            )
            raise DicomReadError(duplicate.path, reason)
    if series.duplicates:
        _LOG.warning("duplicated_files_dropped series=%s count=%d", series.number, len(series.duplicates))


def _same(kept: SliceFile, duplicate: SliceFile) -> bool:
    try:
        if filecmp.cmp(kept.path, duplicate.path, shallow=False):
            return True
    except OSError as error:
        raise DicomReadError(duplicate.path, f"the file cannot be opened ({error.strerror})") from error
    one, other = (read_dataset(file.path, pixels=True) for file in (kept, duplicate))
    if any(texts(one, keyword) != texts(other, keyword) for keyword in _MEANINGFUL):
        return False
    return np.array_equal(decode_pixels(kept.path, one), decode_pixels(duplicate.path, other))
