"""What a scan finds: stored pictures, and the volumes that they belong to.

Paths, headers and UIDs are left out of the text forms, which end up in logs: they may name the patient.
"""

from dataclasses import dataclass, field
from pathlib import Path

from pydicom.dataset import FileDataset

from tds_clinical.dicom._archives import UnpackedFolder
from tds_clinical.errors import DicomReadError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PixelPlace:
    """Where the pixels of an uncompressed image lie in its file.

    Attributes:
        offset: Bytes before the first pixel.
        length: Bytes of pixels, padding included.
        is_little_endian: Order of the bytes of a pixel.
    """

    offset: int
    length: int
    is_little_endian: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A part of a mosaic.

    Attributes:
        index: Which one, counted from 0 along the rows first.
        image_shape: Rows and columns of the whole mosaic.
    """

    index: int
    image_shape: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SliceFile:
    """One stored picture: a file, or a frame or a tile of one.

    Attributes:
        path: Where its file is.
        header: The part of its header that grouping, identification and geometry need; no pixels. That of a frame or a
            tile is written as if the picture were a file of its own, with what its functional groups say.
        frame: Frame number, counted from 1, in a multi-frame image; `None` in a single-frame one.
        tile: Which part of a mosaic it is; `None` if it is none.
        pixels: Where the pixels of the whole file lie; `None` if they are compressed.
        problem: Why the frames or tiles of the file cannot be told apart, so that it is listed and cannot be read.
        kept_by: What keeps a file on disk that was unpacked from an archive, for as long as it is referred to.
    """

    path: Path = field(repr=False)
    header: FileDataset = field(repr=False)
    frame: int | None = None
    tile: Tile | None = None
    pixels: PixelPlace | None = None
    problem: DicomReadError | None = None
    kept_by: UnpackedFolder | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SeriesFiles:
    """The pictures of one volume, in no particular order: a series, or one of the volumes in it.

    Attributes:
        uid: Series Instance UID, shared by all volumes of a series.
        number: Series Number, if there is one.
        slices: The pictures; never empty.
        index: Which volume of its series it is, counted from 1; `None` if the series holds a single one.
        part: The same in words, such as `echo 2 of 3`; empty if the series holds a single one.
        duplicates: Files with images that are among `slices` already, by their SOP Instance UID. What they hold is
            compared when the volume is read.
    """

    uid: str = field(repr=False)
    number: int | None
    slices: tuple[SliceFile, ...]
    index: int | None = None
    part: str = ""
    duplicates: tuple[SliceFile, ...] = ()

    @property
    def header(self) -> FileDataset:
        """Header of one of the pictures, for what all of them share."""
        return self.slices[0].header

    @property
    def label(self) -> str:
        """The volume in words for messages, without identifiers."""
        series = "a series without a number" if self.number is None else f"series {self.number}"
        return f"{series}, {self.part}" if self.part else series

    @property
    def name(self) -> str:
        """What to choose it by: its series number, and after a dot its volume if there are several; may be empty."""
        if self.number is None:
            return ""
        return str(self.number) if self.index is None else f"{self.number}.{self.index}"

    @property
    def key(self) -> str:
        """What tells it from every other volume of a scan; an identifier, not for messages."""
        return self.uid if self.index is None else f"{self.uid}/{self.index}"

    @property
    def is_multi_frame(self) -> bool:
        """Whether its pictures are frames of multi-frame images."""
        return any(file.frame is not None for file in self.slices)

    @property
    def is_mosaic(self) -> bool:
        """Whether its pictures are tiles of a mosaic."""
        return any(file.tile is not None for file in self.slices)
