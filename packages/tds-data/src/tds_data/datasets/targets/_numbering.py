"""Which numbers the tissues get in a new data set."""

from collections.abc import Mapping
from typing import Final

from tds_data.datasets.manifest import Manifest
from tds_data.datasets.schemes import BRATS_LABELS, CUSTOM_SCHEME, LabelScheme, find_scheme, scheme_of_values
from tds_data.errors import ConversionRefused

_BRATS: Final = ("brats-2023", "brats-2021", "brats-2024", "brats-ped-2024")


def scheme_of(manifest: Manifest) -> LabelScheme:
    """Return how a data set's masks number tissues.

    Args:
        manifest: The data set.

    Raises:
        UnknownScheme: If it names a scheme that there is not.
    """
    return find_scheme(manifest.scheme, manifest.labels)


def named_scheme(name: str, source: LabelScheme) -> LabelScheme:
    """Return the scheme that was asked for, if it has a number for each tissue of the source's.

    A tissue of the source's scheme that no mask holds needs no number; whether one does is seen voxel by voxel later.

    Args:
        name: The scheme's name.
        source: How the source numbers tissues.

    Raises:
        UnknownScheme: If there is no scheme of that name.
        ConversionRefused: If the schemes share no tissue.
    """
    scheme = find_scheme(name, {}) if name != CUSTOM_SCHEME else source
    if source.values and not set(source.values) & set(scheme.values):
        message = (
            f"the masks hold {', '.join(source.values)} and the scheme {name} numbers "
            f"{', '.join(scheme.values) or 'nothing'}; choose one that shares tissues with the data"
        )
        raise ConversionRefused(message)
    return scheme


def consecutive(source: LabelScheme) -> LabelScheme:
    """Return a scheme that counts up from 1 without gaps, which is the source's own wherever that does.

    Args:
        source: How the source numbers tissues.
    """
    numbers = sorted(source.values.values())
    if numbers == list(range(1, len(numbers) + 1)):
        return source
    if set(source.values) == set(BRATS_LABELS):
        return find_scheme("brats-2023")
    order = sorted(source.values, key=lambda tissue: source.values[tissue])
    return scheme_of_values({tissue: number for number, tissue in enumerate(order, 1)})


def brats_numbering(source: LabelScheme, wanted: str | None) -> LabelScheme:
    """Return the BraTS scheme for a data set: the one asked for, its own, or the first that has all its tissues.

    Args:
        source: How the source numbers tissues.
        wanted: The scheme that was asked for.

    Raises:
        ConversionRefused: If none has all its tissues, or the one asked for is none of BraTS.
    """
    name = wanted or (source.name if source.name in _BRATS else None)
    if name is None:
        fits = (candidate for candidate in _BRATS if set(source.values) <= set(find_scheme(candidate).values))
        name = next(fits, None)
    if name not in _BRATS:
        told = ", ".join(source.values) if wanted is None else wanted
        message = f"BraTS has the schemes {', '.join(_BRATS)}, and none of them is or holds {told}; convert to bids"
        raise ConversionRefused(message)
    return named_scheme(name, source)


def renumbering(source: LabelScheme, target: LabelScheme) -> Mapping[int, int] | None:
    """Return the new number of each old one, or `None` if masks stay as they are.

    Args:
        source: How the source numbers tissues.
        target: How the new data set does.
    """
    table = {number: target.values[tissue] for tissue, number in source.values.items() if tissue in target.values}
    stays = len(table) == len(source.values) and all(old == new for old, new in table.items())
    return None if stays else table


def told(source: LabelScheme, target: LabelScheme) -> tuple[str, ...]:
    """Return a note on what is renumbered, if anything is.

    Args:
        source: How the source numbers tissues.
        target: How the new data set does.
    """
    table = renumbering(source, target)
    if table is None:
        return ()
    names = source.tissues
    changes = ", ".join(f"{names[old]} {old} to {new}" for old, new in table.items() if old != new)
    absent = [tissue for tissue in source.values if tissue not in target.values]
    without = f"; {', '.join(absent)} has no number there and must not occur" if absent else ""
    return (f"masks are renumbered from {source.name} to {target.name}: {changes or 'no number changes'}{without}",)
