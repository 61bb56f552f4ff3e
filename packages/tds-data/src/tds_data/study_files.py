"""Which file holds which sequence of a study, and reading them."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from tds_data.case import Case
from tds_data.formats.images import open_image, read_image
from tds_data.labels import read_reference
from tds_data.sequence_names import phantom_of
from tds_data.vocabulary import MODALITIES, Modality
from tds_data.volume import Volume

ImageSource = Path | tuple[Path, int]
"""A file, or a file and an index along its fourth axis."""

_MAX_READERS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyFiles:
    """Which file holds which sequence of one study.

    Attributes:
        name: Short label: the name of the folder or of the file.
        images: Where each sequence is, in model order; never empty.
        reference: An expert's mask, if there is one.
        layout: How the files are named: `brats`, `decathlon`, `decathlon-4d`, `bids`, `named` or `single`.
        notes: What had to be assumed, for people.
    """

    name: str
    images: Mapping[Modality, ImageSource]
    reference: Path | None = None
    layout: str = "named"
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        ordered = {m: self.images[m] for m in MODALITIES if m in self.images}
        object.__setattr__(self, "images", MappingProxyType(ordered))

    @property
    def phantom(self) -> str | None:
        """Which of our phantoms this is, by the names of all its images; `None` for anything else."""
        sources = (source[0] if isinstance(source, tuple) else source for source in self.images.values())
        phantoms = {phantom_of(path) for path in sources}
        return phantoms.pop() if len(phantoms) == 1 else None


def load_case(files: StudyFiles) -> Case:
    """Return the study's sequences and mask, read side by side.

    Args:
        files: What `discover` returned.

    Raises:
        VolumeReadError: If a file cannot be read.
        LabelError: If the mask is in no known scheme.
        GridMismatch: If the sequences do not share one grid.
    """
    images, mask = load_images(files)
    return Case(name=files.name, images=images, reference=mask)


def load_images(files: StudyFiles) -> tuple[dict[Modality, Volume], Volume | None]:
    """Return the study's sequences, each on its own grid, and its mask if there is one, read side by side.

    Args:
        files: What `discover` returned.

    Raises:
        VolumeReadError: If a file cannot be read.
        LabelError: If the mask is in no known scheme.
    """
    several = {source[0] for source in files.images.values() if isinstance(source, tuple)}
    paths = dict.fromkeys(source[0] if isinstance(source, tuple) else source for source in files.images.values())
    with ThreadPoolExecutor(_MAX_READERS, thread_name_prefix="case") as pool:
        reference = None if files.reference is None else pool.submit(read_reference, files.reference)
        read = dict(
            zip(
                paths,
                pool.map(lambda p: open_image(p).read_all() if p in several else [read_image(p)], paths),
                strict=True,
            )
        )
        mask = None if reference is None else reference.result()

    def volume(source: ImageSource) -> Volume:
        return read[source[0]][source[1]] if isinstance(source, tuple) else read[source][0]

    return {m: volume(s) for m, s in files.images.items()}, mask
