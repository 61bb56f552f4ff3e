"""From a manifest's entry to a case of brain MRI."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from tds_data.case import Case
from tds_data.datasets.manifest import CaseEntry, FileEntry, Manifest
from tds_data.datasets.schemes import find_scheme, to_brats
from tds_data.errors import DatasetError
from tds_data.formats.images import open_image
from tds_data.vocabulary import MODALITIES, Modality
from tds_data.volume import Volume

_MAX_READERS: Final = 5


def load_entry(manifest: Manifest, entry: CaseEntry, *, others: Mapping[str, int] | None = None) -> Case:
    """Return a case of brain MRI, its files read side by side: its sequences, and its mask in the labels of BraTS 2023.

    Args:
        manifest: The data set.
        entry: One of its cases.
        others: The label, 0 to 3, that each tissue without one in BraTS 2023 becomes, such as `{"RC": 0}` for a
            resection cavity that is to count as background.

    Raises:
        DatasetError: If the case is no brain MRI, or a file holds fewer images than the manifest says.
        ManifestError: If a path leaves the root.
        VolumeReadError: If a file cannot be read.
        LabelError: If the mask holds something outside the scheme, or a tissue that BraTS 2023 has no label for.
        GridMismatch: If the images and the mask do not share one grid.
    """
    strange = [key for key in entry.images if key not in set(MODALITIES)]
    if strange:
        message = (
            f"a case of brain MRI has the images {', '.join(MODALITIES)}; this one has {', '.join(strange)}: "
            "convert and check it, but do not load it as a brain"
        )
        raise DatasetError(message)
    scheme = find_scheme(manifest.scheme, manifest.labels)
    images, mask = read_entry(manifest, entry, tuple(entry.images))
    reference = None if mask is None else to_brats(mask, scheme, others=others)
    return Case(name=entry.name, images={Modality(key): image for key, image in images.items()}, reference=reference)


def read_entry(manifest: Manifest, entry: CaseEntry, keys: Sequence[str]) -> tuple[dict[str, Volume], Volume | None]:
    """Return some images of a case and its mask as it is stored, the files read side by side.

    Args:
        manifest: The data set.
        entry: One of its cases.
        keys: Which images; the case has them all.

    Raises:
        DatasetError: If a file holds fewer images than the manifest says.
        ManifestError: If a path leaves the root.
        VolumeReadError: If a file cannot be read.
    """
    files = {key: entry.images[key] for key in keys}
    wanted = [*files.values(), *(() if entry.mask is None else (entry.mask,))]
    paths = {file.path: manifest.path(file) for file in wanted}
    with ThreadPoolExecutor(_MAX_READERS, thread_name_prefix="load") as pool:
        volumes = dict(zip(paths, pool.map(lambda path: open_image(path).read_all(), paths.values()), strict=True))
    images = {key: _volume(file, volumes[file.path]) for key, file in files.items()}
    return images, None if entry.mask is None else _volume(entry.mask, volumes[entry.mask.path])


def _volume(file: FileEntry, volumes: list[Volume]) -> Volume:
    index = 0 if file.index is None and len(volumes) == 1 else file.index
    if index is None or index >= len(volumes):
        wanted = "one" if index is None else f"number {index}"
        message = f"{file.path!r} holds {len(volumes)} images, and {wanted} is asked for; index the data set again"
        raise DatasetError(message)
    return volumes[index]
