"""What can go wrong in tds_data.

::

    DataError
    ├── VolumeReadError (ValueError)     a file is damaged or is not a volume
    ├── VolumeWriteError (OSError)       a result could not be written
    ├── GeometryError (ValueError)       an affine or grid cannot be used
    ├── VoxelError (ValueError)          voxel values cannot be used
    ├── StudyError (ValueError)          a study cannot be put together
    │   ├── SequenceNotFound             no sequence could be recognised
    │   ├── AmbiguousSequence            two candidates for one sequence
    │   └── GridMismatch                 sequences do not share one grid
    ├── LabelError (ValueError)          labels outside the scheme
    │   └── UnknownScheme                no label scheme of that name
    ├── DatasetError (ValueError)        a data set cannot be indexed, loaded or converted
    │   ├── ManifestError                a manifest is malformed or leaves its root
    │   ├── LayoutNotRecognised          a folder is in none of the layouts that are known
    │   ├── SchemeUndecided              a mask's numbers could stand for several tissues
    │   └── ConversionRefused            the target layout cannot hold all that there is
    ├── RefusedStudy (ValueError)        the quality gate refuses a study
    ├── ReportFormatError (ValueError)   a document is no lesion report; defined in report
    └── MissingDependency (ImportError)  an optional extra is not installed

Messages say what was wrong, the value seen and what to do. They never hold a patient identifier.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tds_data.report import QualityFlag


class DataError(Exception):
    """Root of every error that tds_data raises on purpose."""


class VolumeReadError(DataError, ValueError):
    """A file is damaged, truncated or not a volume.

    Attributes:
        path: The file.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"cannot read {path.name!r}: {reason}")
        self.path = path


class VolumeWriteError(DataError, OSError):
    """A result could not be written.

    Attributes:
        path: The target.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"cannot write {str(path)!r}: {reason}")
        self.path = path


class GeometryError(DataError, ValueError):
    """An affine or a grid cannot be used."""


class VoxelError(DataError, ValueError):
    """Voxel values cannot be used."""


class StudyError(DataError, ValueError):
    """A study cannot be put together from what was found."""


class SequenceNotFound(StudyError):
    """None of the files could be recognised as T1, T1ce, T2 or FLAIR."""


class AmbiguousSequence(StudyError):
    """Two files claim to be the same sequence."""


class GridMismatch(StudyError):
    """The sequences of a study do not share one voxel grid."""


class LabelError(DataError, ValueError):
    """A mask holds labels outside the scheme."""


class UnknownScheme(LabelError):
    """There is no label scheme of that name."""


class DatasetError(DataError, ValueError):
    """A data set cannot be indexed, loaded or converted."""


class ManifestError(DatasetError):
    """A manifest is malformed, of another version, or names a file outside its root."""


class LayoutNotRecognised(DatasetError):
    """A folder is in none of the layouts that are known."""


class SchemeUndecided(DatasetError):
    """The numbers in a data set's masks could stand for several tissues."""


class ConversionRefused(DatasetError):
    """The target layout cannot hold all that the data set holds."""


class MissingDependency(DataError, ImportError):
    """An optional extra is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"this needs {package!r}: install it with pip install 'tds-data[{extra}]'")
        self.package = package
        self.extra = extra


class RefusedStudy(DataError, ValueError):
    """The quality gate refuses a study.

    Attributes:
        flags: Every finding of the gate, warnings too.
    """

    def __init__(self, flags: "tuple[QualityFlag, ...]") -> None:
        reasons = "; ".join(f"{flag.code}: {flag.message}" for flag in flags if flag.severity == "error")
        super().__init__(f"the quality gate refuses this study. {reasons}")
        self.flags = flags
