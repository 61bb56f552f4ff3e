"""Cases that are on both sides of the split under different names."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from tds_core.errors import ConfigError
from tds_core.training.run.datasets import SplitDataset
from tds_data.datasets import CaseEntry

_SHOWN = 3


def check_leaks(datasets: Sequence[SplitDataset]) -> None:
    """Refuse a split in which a case is both trained on and measured, as when one data set lies in two places.

    Cases are the same if one has no image that the other has not, by the hashes of their files. Images that were
    stored anew are not found so: `tds data folds` looks into them.

    Args:
        datasets: Those of the run, split.

    Raises:
        ConfigError: If there is such a case.
    """
    trained: dict[tuple[str, int | None], list[tuple[str, frozenset[tuple[str, int | None]]]]] = defaultdict(list)
    for name, images in _images(datasets, "training"):
        for image in images:
            trained[image].append((name, images))
    pairs = {}
    for name, images in _images(datasets, "validation"):
        for image in images:
            for other, theirs in trained.get(image, ()):
                if images <= theirs or theirs <= images:
                    pairs[name] = other
    if pairs:
        shown = ", ".join(f"{name} is {other}" for name, other in sorted(pairs.items())[:_SHOWN])
        message = (
            f"{len(pairs)} cases that validate are trained on under another name ({shown}), and their scores would "
            "mean nothing; leave one of the two data sets or cases out"
        )
        raise ConfigError(message)


def _images(datasets: Sequence[SplitDataset], side: str) -> Iterator[tuple[str, frozenset[tuple[str, int | None]]]]:
    for part in datasets:
        entries: dict[str, CaseEntry] = {entry.name: entry for entry in part.manifest.cases}
        for name in getattr(part, side):
            files = entries[name].images.values()
            yield part.full_name(name), frozenset((file.sha256, file.index) for file in files)
