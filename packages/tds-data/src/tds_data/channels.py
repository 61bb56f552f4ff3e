"""Studies whose sequences are numbered: channels of the Medical Segmentation Decathlon and of nnU-Net.

The order comes from a `dataset.json` (`modality` or `channel_names`) up to three folders above a file; without one it
is taken to be that of the Decathlon's brain tumour task.
"""

import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tds_data.errors import AmbiguousSequence, StudyError
from tds_data.sequence_names import alias, channel_of, modality_of
from tds_data.study_files import StudyFiles
from tds_data.vocabulary import Modality

TASK01_CHANNELS: Final = (Modality.FLAIR, Modality.T1, Modality.T1CE, Modality.T2)
"""Channel order of the Decathlon's brain tumour task, taken where no `dataset.json` says otherwise."""


def by_channel_study(files: Iterable[Path]) -> dict[str, list[Path]]:
    """Return the files that are numbered channels, by the study in their names.

    Args:
        files: Files of one folder.
    """
    studies: dict[str, list[Path]] = defaultdict(list)
    for path in files:
        channel = channel_of(path)
        if channel is not None and modality_of(path) is None:
            studies[channel[0]].append(path)
    return {study: paths for study, paths in studies.items() if are_channels(paths)}


def are_channels(paths: list[Path]) -> bool:
    """Tell whether files numbered alike are channels: 0000 is among them, or a `dataset.json` is near.

    A single number may as well count patients.

    Args:
        paths: Files whose names end in a channel number.
    """
    numbers = {(channel_of(p) or ("", -1))[1] for p in paths}
    return (len(numbers) > 1 and 0 in numbers) or (bool(paths) and _description(paths[0]) is not None)


def channel_files(name: str, files: list[Path], notes: tuple[str, ...]) -> StudyFiles:
    """Return the study that numbered channels make up.

    Args:
        name: The study's label.
        files: Its channels; at least one.
        notes: What had to be assumed so far.

    Raises:
        StudyError: If a number is beyond the channels known, or `dataset.json` cannot be used.
        AmbiguousSequence: If two files are the same channel.
    """
    order, assumed = channel_order(files[0])
    images: dict[Modality, Path] = {}
    for path in files:
        number = (channel_of(path) or ("", 0))[1]
        if number >= len(order):
            message = f"{path.name!r} is channel {number}, and only {len(order)} are known ({', '.join(order)})"
            raise StudyError(message)
        if order[number] in images:
            other = images[order[number]].name
            message = f"{other!r} and {path.name!r} both look like {order[number]}; keep one of them in the folder"
            raise AmbiguousSequence(message)
        images[order[number]] = path
    return StudyFiles(name=name, images=images, layout="decathlon", notes=(*notes, *assumed))


def channel_order(path: Path) -> tuple[tuple[Modality, ...], tuple[str, ...]]:
    """Return the sequences in channel order, and notes on what was assumed.

    Args:
        path: A file of the data set.

    Raises:
        StudyError: If its `dataset.json` has no channel order or names other sequences.
    """
    description = _description(path)
    if description is None:
        return TASK01_CHANNELS, (f"channel order assumed: {', '.join(TASK01_CHANNELS)} (no dataset.json found)",)
    try:
        document = json.loads(description.read_text(encoding="utf-8"))
        named = document.get("channel_names", document.get("modality"))
        words = [str(named[key]) for key in sorted(named, key=int)]
    except (OSError, ValueError, TypeError, AttributeError) as error:
        message = 'dataset.json has no channel order; it needs \'channel_names\', such as {"0": "FLAIR", "1": "T1w"}'
        raise StudyError(message) from error
    order = [alias(word) for word in words]
    known = tuple(modality for modality in order if modality is not None)
    if len(known) < len(order) or len(set(known)) < len(known):
        message = (
            f"dataset.json lists the channels {', '.join(words)}; each must be a different one of T1, T1ce, T2, FLAIR"
        )
        raise StudyError(message)
    return known, ()


def _description(path: Path) -> Path | None:
    candidates = (folder / "dataset.json" for folder in path.parents[:3])
    return next((c for c in candidates if c.is_file()), None)
