"""From a path to the files of one study, whatever the naming.

Understood are folders named as in BraTS, as channels of the Medical Segmentation Decathlon and nnU-Net
(`_0000` to `_0003`), as in BIDS, or plainly (`t1.nii.gz`); a 4D file of the Decathlon; and a single image. NIfTI, NRRD
and MetaImage are looked for; an `.npz` archive, which may hold anything, is taken only if it is given by itself.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from tds_data.channels import are_channels, by_channel_study, channel_files, channel_order
from tds_data.errors import AmbiguousSequence, SequenceNotFound, StudyError
from tds_data.formats.image_file import ImageFile
from tds_data.formats.images import open_image
from tds_data.formats.names import IMAGE_SUFFIXES, Format, format_of, image_stem, is_image_name
from tds_data.sequence_names import channel_of, is_reference, modality_of, study_of
from tds_data.study_files import ImageSource, StudyFiles, load_case
from tds_data.vocabulary import Modality

__all__ = ["ImageSource", "StudyFiles", "discover", "load_case"]

_MAX_NAMED: Final = 3
_MAX_LISTED: Final = 6


def discover(path: Path, *, assume: Modality | None = None) -> StudyFiles:
    """Return the files of the study at a path, found by their names.

    Args:
        path: A folder that holds one study, or an image.
        assume: The sequence that a single file holds, whatever its name says.

    Raises:
        SequenceNotFound: If no file is named after a sequence.
        AmbiguousSequence: If two files are named after the same sequence, or one after two.
        StudyError: If there is nothing at the path, it holds several studies, or channels and their description differ.
        VolumeReadError: If a file without a sequence in its name has no readable header.
    """
    # A folder may be given as "..", so it is resolved; a file keeps its name even if it links to another.
    path = path.resolve() if path.is_dir() else path.absolute()
    if path.is_dir():
        if assume is not None:
            message = f"a sequence can be assumed for a single file only, and {path.name!r} is a folder"
            raise StudyError(message)
        return _in_folder(path, notes=())
    if not path.is_file():
        message = f"there is no file or folder {str(path)!r}; check the path"
        raise StudyError(message)
    if not is_image_name(path):
        message = f"{path.name!r} is not named {', '.join(IMAGE_SUFFIXES)}; give an image or a folder of them"
        raise StudyError(message)
    return _single(path, assume)


def _single(path: Path, assume: Modality | None) -> StudyFiles:
    image = open_image(path)
    if image.volume_count > 1:
        return _four_dimensional(image, assume)
    if assume is None:
        siblings = _channel_siblings(path)
        if siblings is not None:
            return siblings
    modality = assume or modality_of(path)
    if modality is None:
        message = (
            f"{path.name!r} does not say which sequence it holds; put t1, t1ce, t2 or flair in its name, "
            "or say which sequence to assume"
        )
        raise SequenceNotFound(message)
    return StudyFiles(name=image_stem(path), images={modality: path}, layout="single")


def _channel_siblings(path: Path) -> StudyFiles | None:
    channel = channel_of(path)
    if channel is None:
        return None
    files = [p for p in _image_files(path.parent) if (channel_of(p) or ("", 0))[0] == channel[0]]
    return channel_files(channel[0], files, ()) if are_channels(files) else None


def _four_dimensional(image: ImageFile, assume: Modality | None) -> StudyFiles:
    path = image.path
    channels, notes = channel_order(path)
    if assume is not None or image.volume_count != len(channels):
        wanted, shape = assume or ", ".join(channels), (*image.shape, image.volume_count)
        message = f"{path.name!r} has shape {shape} and should hold {wanted}; split it into one file per sequence"
        raise StudyError(message)
    images = {modality: (path, index) for index, modality in enumerate(channels)}
    name = image_stem(path).removesuffix("_0000")
    return StudyFiles(name=name, images=images, layout="decathlon-4d", notes=notes)


def _in_folder(folder: Path, notes: tuple[str, ...]) -> StudyFiles:
    anatomy = folder if folder.name == "anat" else folder / "anat"
    files = _image_files(anatomy)
    if files:
        return _named(_bids_name(anatomy.parent), files, "bids", notes)
    files = _image_files(folder)
    if not files:
        return _in_subfolder(folder, notes)
    channels = by_channel_study(files)
    if len(channels) > 1:
        _refuse_several(folder, [f"{study}_0000" for study in channels], "give one of its files instead, such as")
    for study, members in channels.items():
        reference = _only_reference([p for p in files if is_reference(p)])
        return replace(channel_files(study, members, notes), reference=reference)
    images = [p for p in files if not is_reference(p)]
    if len(images) == 1 and modality_of(images[0]) is None:
        found = _single(images[0], None)
        references = [p for p in files if p not in images]
        return replace(found, reference=_only_reference(references), notes=(*notes, *found.notes))
    return _named(folder.name, files, None, notes)


def _in_subfolder(folder: Path, notes: tuple[str, ...]) -> StudyFiles:
    children = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    studies = [p for p in children if _holds_images(p)]
    if len(studies) > 1:
        _refuse_several(folder, [p.name for p in studies], "use one of its subfolders, such as")
    if not studies:
        where = f"{folder.name!r} or in the folders in it"
        message = f"there is no .nii or .nii.gz file, nor NRRD or MetaImage, in {where}; check the path"
        raise SequenceNotFound(message)
    note = f"taken from the subfolder {studies[0].name}"
    return _in_folder(studies[0], (*notes, note))


def _refuse_several(folder: Path, studies: list[str], advice: str) -> None:
    shown = ", ".join(studies[:_MAX_NAMED])
    message = f"{folder.name!r} holds {len(studies)} studies; {advice} {shown}"
    raise StudyError(message)


def _holds_images(folder: Path) -> bool:
    sessions = folder.glob("ses-*/anat")
    return any(_image_files(place) for place in (folder, folder / "anat", *sessions))


def _bids_name(folder: Path) -> str:
    return f"{folder.parent.name}_{folder.name}" if folder.name.startswith("ses-") else folder.name


def _named(name: str, files: list[Path], layout: str | None, notes: tuple[str, ...]) -> StudyFiles:
    found: dict[Modality, list[Path]] = defaultdict(list)
    for path in files:
        modality = modality_of(path)
        if modality is not None:
            found[modality].append(path)
    if not found:
        shown = ", ".join(p.name for p in files[:_MAX_LISTED]) + (", ..." if len(files) > _MAX_LISTED else "")
        message = f"no file name in {name!r} names T1, T1ce, T2 or FLAIR (looked at {shown}); rename the files"
        raise SequenceNotFound(message)
    _refuse_mixed(name, found)
    images = {modality: _only(modality, paths) for modality, paths in found.items()}
    references = [p for p in files if is_reference(p)]
    unused = [p.name for p in files if p not in references and p not in images.values()]
    if unused:
        notes = (*notes, f"not used: {', '.join(unused[:_MAX_NAMED])}{', ...' if len(unused) > _MAX_NAMED else ''}")
    layout = layout or ("brats" if all(study_of(p) for p in images.values()) else "named")
    return StudyFiles(name=name, images=images, reference=_only_reference(references), layout=layout, notes=notes)


def _only(what: str, paths: list[Path]) -> Path:
    if len(paths) > 1:
        message = f"{paths[0].name!r} and {paths[1].name!r} both look like {what}; keep one of them in the folder"
        raise AmbiguousSequence(message)
    return paths[0]


def _only_reference(paths: list[Path]) -> Path | None:
    return _only("the reference mask", paths) if paths else None


def _refuse_mixed(name: str, found: Mapping[Modality, list[Path]]) -> None:
    studies: dict[str, set[Modality]] = defaultdict(set)
    for modality, paths in found.items():
        for path in paths:
            studies[study_of(path)].add(modality)
    whole = sorted(study for study, modalities in studies.items() if len(modalities) > 1)
    if len(whole) > 1:
        shown = ", ".join(whole[:_MAX_NAMED])
        message = f"{name!r} holds the files of {len(whole)} studies ({shown}); give each a folder of its own"
        raise StudyError(message)


def _image_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if _may_be_found(p) and not p.name.startswith(".") and p.is_file())


def _may_be_found(path: Path) -> bool:
    return format_of(path) not in {None, Format.NPZ}
