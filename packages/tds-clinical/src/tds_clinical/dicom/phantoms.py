"""Studies that show no patient."""

from collections.abc import Iterable

from tds_clinical.dicom._model import SeriesFiles
from tds_clinical.dicom._tags import text


def shows_phantom(series: Iterable[SeriesFiles]) -> bool:
    """Tell whether an image says that it shows a phantom (Quality Control Image, PS3.3, section C.7.6.1).

    One image is enough: figures of a study that is a phantom in part are no patient's.

    Args:
        series: The series that were read.
    """
    return any(text(file.header, "QualityControlImage").upper() == "YES" for one in series for file in one.slices)
