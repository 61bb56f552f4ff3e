"""The files of a series become its volumes."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from tds_clinical.dicom._model import SeriesFiles, SliceFile
from tds_clinical.dicom._splitting import split_volumes
from tds_clinical.dicom._tags import number, text
from tds_clinical.dicom._unpacking import unpack_file


def volumes_of(files: Sequence[SliceFile]) -> Iterator[SeriesFiles]:
    """Yield the volumes of a series, in the order of what tells them apart.

    Args:
        files: All image files of one series; at least one.
    """
    first, *_ = files
    series_number = number(first.header, "SeriesNumber")
    copies: dict[str, list[SliceFile]] = defaultdict(list)
    for file in files:
        copies[_instance(file)].append(file)
    pictures = [picture for same in copies.values() for picture in unpack_file(same[0])]
    parts = split_volumes(pictures)
    for index, part in enumerate(parts, start=1):
        instances = dict.fromkeys(map(_instance, part.files))
        yield SeriesFiles(
            uid=text(first.header, "SeriesInstanceUID"),
            number=None if series_number is None else int(series_number),
            slices=part.files,
            index=index if len(parts) > 1 else None,
            part=", ".join(part.words),
            duplicates=tuple(file for instance in instances for file in copies[instance][1:]),
        )


def _instance(file: SliceFile) -> str:
    return text(file.header, "SOPInstanceUID")
