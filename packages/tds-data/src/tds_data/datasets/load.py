"""From a manifest's entry to a case of brain MRI."""

from collections.abc import Mapping

from tds_data.case import Case
from tds_data.datasets.manifest import CaseEntry, FileEntry, Manifest
from tds_data.datasets.schemes import find_scheme, to_brats
from tds_data.errors import DatasetError
from tds_data.formats.images import open_image
from tds_data.vocabulary import MODALITIES, Modality
from tds_data.volume import Volume


def load_entry(manifest: Manifest, entry: CaseEntry, *, others: Mapping[str, int] | None = None) -> Case:
    """Return a case of brain MRI: its sequences, and its mask in the labels of BraTS 2023.

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
    stacks: dict[str, list[Volume]] = {}
    images = {Modality(key): _read(manifest, file, stacks) for key, file in entry.images.items()}
    scheme = find_scheme(manifest.scheme, manifest.labels)
    reference = None if entry.mask is None else to_brats(_read(manifest, entry.mask, {}), scheme, others=others)
    return Case(name=entry.name, images=images, reference=reference)


def _read(manifest: Manifest, file: FileEntry, stacks: dict[str, list[Volume]]) -> Volume:
    path = manifest.path(file)
    if file.index is None:
        return open_image(path).read()
    if file.path not in stacks:
        stacks[file.path] = open_image(path).read_all()
    volumes = stacks[file.path]
    if file.index >= len(volumes):
        message = f"{path.name!r} holds {len(volumes)} images, and number {file.index} is asked for; index it again"
        raise DatasetError(message)
    return volumes[file.index]
