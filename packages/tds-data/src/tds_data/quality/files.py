"""Files that cannot be read, that are not the ones a manifest describes, or whose headers contradict themselves."""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tds_data.datasets.manifest import FileEntry, Manifest
from tds_data.errors import DataError, VolumeReadError
from tds_data.formats import AffineSource, ImageFile, open_image
from tds_data.quality.codes import flag
from tds_data.report import QualityFlag
from tds_data.volume import Volume

FORM_TOLERANCE: Final = 0.5
"""Part of the shortest voxel edge by which sform and qform may place a corner apart."""


@dataclass(slots=True, kw_only=True)
class FileReader:
    """Reads the files of one case, each once, and notes what speaks against them.

    Attributes:
        manifest: Tells where files are.
        flags: What was found so far.
    """

    manifest: Manifest
    flags: list[QualityFlag] = field(default_factory=list)
    _read: dict[str, list[Volume]] = field(default_factory=dict)
    _failed: dict[str, Exception] = field(default_factory=dict)

    def read(self, entry: FileEntry, subject: str) -> Volume | None:
        """Return the volume of an entry, or `None` if it cannot be read, which is then noted.

        Args:
            entry: A file of the manifest.
            subject: The sequence that it holds, or `mask`.
        """
        if entry.path not in self._read and entry.path not in self._failed:
            try:
                self._read[entry.path] = self._volumes(entry, subject)
            except (DataError, OSError) as error:
                self._failed[entry.path] = error
        if entry.path in self._failed:
            self._note_unreadable(self._failed[entry.path], subject)
            return None
        volumes, index = self._read[entry.path], entry.index or 0
        if index >= len(volumes) or (entry.index is None and len(volumes) > 1):
            message = f"the file of {subject} is not the one that was indexed; index the data set again"
            self.flags.append(flag("UNREADABLE", message, f"it holds {len(volumes)} volumes", subject=subject))
            return None
        return volumes[index]

    def _volumes(self, entry: FileEntry, subject: str) -> list[Volume]:
        path = self.manifest.path(entry)
        self.flags.extend(changed_flags(path, entry, subject))
        image = open_image(path)
        self.flags.extend(header_flags(image, subject))
        return image.read_all()

    def _note_unreadable(self, error: Exception, subject: str) -> None:
        message = f"the file of {subject} cannot be read; copy, download or export it again"
        self.flags.append(flag("UNREADABLE", message, _reason(error), subject=subject))


def _reason(error: Exception) -> str:
    if isinstance(error, VolumeReadError):
        return error.reason
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


def changed_flags(path: Path, entry: FileEntry, subject: str) -> Iterator[QualityFlag]:
    """Yield whether a file is not the one that its manifest describes.

    Args:
        path: Where it is.
        entry: What the manifest says of it.
        subject: The sequence that it holds, or `mask`.

    Raises:
        OSError: If it cannot be read.
    """
    message = f"the file of {subject} is not the one that was indexed; restore it, or index the data set again"
    with path.open("rb") as file:
        size = file.seek(0, 2)
        if size != entry.size_bytes:
            yield flag("FILE-CHANGED", message, f"{size} bytes, not {entry.size_bytes}", subject=subject)
            return
        file.seek(0)
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != entry.sha256:
        yield flag("FILE-CHANGED", message, f"SHA-256 {found[:12]}..., not {entry.sha256[:12]}...", subject=subject)


def header_flags(image: ImageFile, subject: str) -> Iterator[QualityFlag]:
    """Yield what a header leaves open or contradicts.

    Args:
        image: The file's header.
        subject: The sequence that it holds, or `mask`.
    """
    if image.affine_source is AffineSource.ASSUMED:
        message = f"the header of {subject} does not say where left and right are; convert the series again"
        yield flag("NO-ORIENTATION", message, subject=subject)
    apart = image.form_disagreement_mm
    if apart is not None and apart > FORM_TOLERANCE * min(image.spacing_mm):
        message = f"sform and qform of {subject} disagree; find out which is right and write both alike"
        shown = f"{apart:.3g} mm apart" if math.isfinite(apart) else "the qform cannot be used"
        yield flag("SFORM-QFORM-MISMATCH", message, shown, subject=subject)
