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
    ├── DownloadFailed (OSError)         a data set could not be fetched
    │   └── ChecksumMismatch             what arrived is not what was published
    ├── LicenceNotAccepted (ValueError)  a data set comes under a licence that is to be accepted first
    ├── ArchiveRefused (ValueError)      an archive is damaged or not safe to unpack
    ├── FoldError (ValueError)           folds cannot be made, read or used for a data set
    ├── DataLeak (ValueError)            the same patient or image is on both sides of a split
    ├── RegistrationFailed (ValueError)  two images could not be brought together
    ├── BrainNotFound (ValueError)       skull stripping gave nothing that could be a brain
    ├── WeightsRefused (ValueError)      a network's weights are missing or not the published ones
    ├── PlanError (ValueError)           a file of transforms cannot be read, or a mask does not fit to it
    ├── CacheError (ValueError)          a cache of preprocessed cases cannot be used or made
    │   ├── StaleCache                   it was made from or with something else
    │   ├── DamagedCache                 a file of it is gone, cut short or altered
    │   ├── SourceChanged                a file is no longer what its manifest says
    │   └── UnusableCase                 a case cannot be read or preprocessed
    ├── TaskError (ValueError)           channels, labels or regions of a task cannot be
    ├── LoadingError (RuntimeError)      patches for training cannot be made
    │   ├── AugmentError                 a chance, a range, a record or a tensor for augmentation cannot be
    │   ├── WorkerDied                   a worker process ended again and again
    │   └── BudgetTooSmall               the memory allowed holds not even the least that is needed
    ├── WorkersNotStarted (RuntimeError) worker processes cannot be started
    ├── RefusedStudy (ValueError)        the quality gate refuses a study
    ├── ReportFormatError (ValueError)   a document is no lesion report; defined in report
    └── MissingDependency (ImportError)  an optional extra is not installed

Messages say what was wrong, the value seen and what to do. They never hold a patient identifier.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tds_data.curation.leaks import Leak
    from tds_data.report import QualityFlag


class DataError(Exception):
    """Root of every error that tds_data raises on purpose.

    Every one of them passes between processes with its message and its attributes.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        """Tell pickle to restore what the error holds: constructors make the message and cannot be called with it."""
        return _restored, (type(self), self.args, self.__dict__)


def _restored(kind: type[DataError], args: tuple[object, ...], attributes: dict[str, object]) -> DataError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(attributes)
    return error


class VolumeReadError(DataError, ValueError):
    """A file is damaged, truncated or not a volume.

    Attributes:
        path: The file.
        reason: What is wrong with it and what to do, without its name.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"cannot read {path.name!r}: {reason}")
        self.path = path
        self.reason = reason


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


class DownloadFailed(DataError, OSError):
    """A data set could not be fetched. What has arrived is kept, unless the message says otherwise."""


class ChecksumMismatch(DownloadFailed):
    """What arrived is not what was published.

    Attributes:
        algorithm: `md5` or `sha256`.
        expected: The checksum that it should have, in hexadecimal digits.
        found: The one that it has.
    """

    def __init__(self, algorithm: str, *, expected: str, found: str, advice: str) -> None:
        super().__init__(f"the {algorithm} of the archive should be {expected} and is {found}; {advice}")
        self.algorithm = algorithm
        self.expected = expected
        self.found = found


class LicenceNotAccepted(DataError, ValueError):
    """A data set comes under a licence that is to be read and accepted first.

    Attributes:
        licence: Its name.
    """

    def __init__(self, licence: str, url: str) -> None:
        super().__init__(f"this data set comes under {licence}; read {url} and say that you accept it")
        self.licence = licence


class ArchiveRefused(DataError, ValueError):
    """An archive is damaged or not safe to unpack; nothing of it is left.

    Attributes:
        path: The archive.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"cannot unpack {path.name!r}: {reason}")
        self.path = path


class FoldError(DataError, ValueError):
    """Folds cannot be made, cannot be read, or belong to another data set."""


class DataLeak(DataError, ValueError):
    """The same patient or image is on both sides of a split.

    Attributes:
        leaks: Each pair of cases, the surest first.
    """

    def __init__(self, leaks: "tuple[Leak, ...]") -> None:
        shown = "; ".join(leak.message for leak in leaks[:3])
        more = f"; and {len(leaks) - 3} more" if len(leaks) > 3 else ""  # noqa: PLR2004  # as many as are shown
        super().__init__(
            f"{len(leaks)} {'leak' if len(leaks) == 1 else 'leaks'} between folds: {shown}{more}. Give both cases the "
            "same patient in the manifest or take one of them out, and make the folds again"
        )
        self.leaks = leaks


class RegistrationFailed(DataError, ValueError):
    """Two images could not be brought together."""


class BrainNotFound(DataError, ValueError):
    """Skull stripping gave nothing that could be a brain.

    Attributes:
        volume_ml: What it gave, in millilitres.
    """

    def __init__(self, volume_ml: float) -> None:
        super().__init__(
            f"skull stripping found {volume_ml:.0f} mL, which is no adult's brain; check that the image shows a whole "
            "head with the orientation that its header says"
        )
        self.volume_ml = volume_ml


class WeightsRefused(DataError, ValueError):
    """A network's weights are missing or not the published ones."""


class PlanError(DataError, ValueError):
    """A file of transforms cannot be read, or a mask does not fit to it."""


class CacheError(DataError, ValueError):
    """A cache of preprocessed cases cannot be used or made."""


class StaleCache(CacheError):
    """A cache was made from other files, with another configuration or by another version.

    Attributes:
        folder: The cache.
    """

    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__(f"the cache {folder.name!r} cannot be used: {reason}; make it anew with `tds data cache`")
        self.folder = folder


class DamagedCache(CacheError):
    """A file of a cache is gone, cut short or altered.

    Attributes:
        path: The file.
        reason: What is wrong with it.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path.name!r} of the cache is damaged: {reason}; run `tds data cache` again to mend it")
        self.path = path
        self.reason = reason


class SourceChanged(CacheError):
    """A file of a data set is no longer what its manifest says."""


class UnusableCase(CacheError):
    """A case cannot be read or preprocessed.

    Attributes:
        name: The case's name in the manifest.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"the case {name!r} cannot be cached: {reason}; mend it, or skip such cases")
        self.name = name


class TaskError(DataError, ValueError):
    """The channels, labels or regions of a segmentation task cannot be."""


class LoadingError(DataError, RuntimeError):
    """Patches for training cannot be made."""


class AugmentError(LoadingError):
    """A chance, a range, a record or a tensor for augmentation cannot be."""


class WorkerDied(LoadingError):
    """A worker process ended by itself again and again.

    Attributes:
        exit_code: Its exit code; a negative one is the number of the signal that ended it.
    """

    def __init__(self, exit_code: int | None, attempts: int) -> None:
        how = f"by signal {-exit_code}" if exit_code is not None and exit_code < 0 else f"with exit code {exit_code}"
        super().__init__(
            f"a worker process was ended {how} {attempts} times over the same patch; if the system was short of "
            "memory, use fewer workers or set max_bytes"
        )
        self.exit_code = exit_code


class BudgetTooSmall(LoadingError):
    """The memory allowed holds not even the least that is needed.

    Attributes:
        needed_bytes: The least that would do.
    """

    def __init__(self, max_bytes: int, needed_bytes: int) -> None:
        super().__init__(
            f"max_bytes is {max_bytes}, and the least that these patches need is {needed_bytes}; allow more, or use "
            "fewer workers, smaller patches or smaller batches"
        )
        self.needed_bytes = needed_bytes


class WorkersNotStarted(DataError, RuntimeError):
    """Worker processes cannot be started."""
