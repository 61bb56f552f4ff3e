"""How the masks of a BraTS-like data set number tissues, decided once for the whole set.

The number 4 is the enhancing tumour up to 2021, the resection cavity in the post-treatment sets from 2024 on, and the
oedema in the paediatric sets from 2024 on. Names, the year in the names of folders called after BraTS and the numbers
that occur anywhere in the set decide; where they do not, the set is refused until somebody says which scheme it has.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from tds_data.datasets._drafts import Draft
from tds_data.datasets._patients import session_of
from tds_data.datasets.schemes import NO_SCHEME, find_scheme
from tds_data.errors import SchemeUndecided

_OLD: Final = re.compile(r"brats_?(?:20)?(1[2-9]|2[01])(?!\d)", re.IGNORECASE)
_NEW: Final = re.compile(r"brats-(?P<kind>[a-z]+)-", re.IGNORECASE)
_NEW_FILES: Final = re.compile(r"[_-](t1n|t1c|t2w|t2f)\.", re.IGNORECASE)
_YEAR: Final = re.compile(r"(?<!\d)20(1[2-9]|2\d)(?!\d)")
_FIRST_POST_TREATMENT: Final = 100  # time points of the post-treatment set of 2024 count from 100
_YEAR_OF_CHANGE: Final = 2024
_ET_OLD: Final = 4
_ET_NEW: Final = 3
_POST_TREATMENT: Final = frozenset({"gli", "met", "new"})


def decide_scheme(drafts: Sequence[Draft], values: Mapping[str, frozenset[int]], root: str) -> tuple[str, str]:
    """Return the scheme of a set's masks, and what it was told by.

    Args:
        drafts: The cases.
        values: The numbers that occur in the mask of each case, by the case's name; cases without a mask are absent.
        root: Name of the set's folder, which may tell the release's year.

    Raises:
        SchemeUndecided: If several schemes, or none, agree with the names and the numbers.
    """
    if not values:
        return NO_SCHEME, "there is no mask"
    year = _year(drafts, root)
    by_kind: dict[str, set[int]] = defaultdict(set)
    for draft in drafts:
        by_kind[_kind(draft)] |= values.get(draft.name, frozenset())
    present = frozenset(number for numbers in by_kind.values() for number in numbers) - {0}
    possible = [_possible(kind, frozenset(numbers), year) for kind, numbers in by_kind.items()]
    agreed = [name for name in _preference(drafts, by_kind, year) if all(name in names for names in possible)]
    evidence = _evidence(by_kind, year)
    if not agreed or len({_meaning(name, present) for name in agreed}) > 1:
        choices = " or ".join(agreed) or "none of the known schemes"
        message = (
            f"the masks may be numbered as in {choices} ({evidence}); say which it is with the scheme "
            "(--scheme brats-2021 if 4 is enhancing tumour, brats-2024 if 4 is a resection cavity, brats-2023 if there "
            "is no 4, brats-ped-2024 for children's tumours of 2024 and later)"
        )
        raise SchemeUndecided(message)
    return agreed[0], evidence


def _possible(kind: str, numbers: frozenset[int], year: int | None) -> frozenset[str]:
    """Return the schemes that the numbers in one kind of data set agree with."""
    if max(numbers, default=0) > _ET_OLD:
        return frozenset()
    old, new = _ET_OLD in numbers, _ET_NEW in numbers
    if kind == "ped":
        return _possible_for_children(old=old, new=new, year=year)
    fits = set()
    if not new:
        fits.add("brats-2021")
    if not old:
        fits.add("brats-2023")
    if kind in _POST_TREATMENT and (year is None or year >= _YEAR_OF_CHANGE):
        fits.add("brats-2024")
        if year is not None and old:
            fits.discard("brats-2021")
    if kind == "new" and old and new:  # such files may be children's as well
        fits.add("brats-ped-2024")
    return frozenset(fits)


def _possible_for_children(*, old: bool, new: bool, year: int | None) -> frozenset[str]:
    fits = {"brats-ped-2024"}
    if not old:
        fits.add("brats-2023")
    elif not new:
        fits.add("brats-2021")
    if year is not None:
        fits = fits & {"brats-ped-2024"} if year >= _YEAR_OF_CHANGE else fits - {"brats-ped-2024"}
    return frozenset(fits)


def _preference(drafts: Sequence[Draft], kinds: Iterable[str], year: int | None) -> tuple[str, ...]:
    """Return all schemes, the most likely first, for sets in which several mean the same."""
    late = any(int(session_of(draft.name) or 0) >= _FIRST_POST_TREATMENT for draft in drafts)
    if set(kinds) == {"ped"}:
        return ("brats-ped-2024", "brats-2023", "brats-2021", "brats-2024")
    if late or (year or 0) >= _YEAR_OF_CHANGE:
        return ("brats-2024", "brats-2023", "brats-2021", "brats-ped-2024")
    if "old" in set(kinds):
        return ("brats-2021", "brats-2023", "brats-2024", "brats-ped-2024")
    return ("brats-2023", "brats-2021", "brats-2024", "brats-ped-2024")


def _kind(draft: Draft) -> str:
    new = _NEW.match(draft.name)
    if new is not None:
        return new["kind"].lower()
    if _OLD.match(draft.name):
        return "old"
    files = (place.path for place in draft.images.values())
    return "new" if any(_NEW_FILES.search(path) for path in files) else "plain"


def _year(drafts: Sequence[Draft], root: str) -> int | None:
    folders = {part for draft in drafts for place in draft.images.values() for part in place.path.split("/")[:-2]}
    releases = {text for text in {root, *folders} if "brats" in text.lower()}  # other years may be of a download
    years = {int(match[0]) for text in releases for match in [_YEAR.search(text)] if match}
    return years.pop() if len(years) == 1 else None


def _meaning(scheme: str, present: frozenset[int]) -> tuple[tuple[int, str], ...]:
    tissues = find_scheme(scheme).tissues
    return tuple((number, tissues.get(number, "?")) for number in sorted(present))


def _evidence(by_kind: Mapping[str, set[int]], year: int | None) -> str:
    seen = "; ".join(
        f"{kind} names: labels {', '.join(map(str, sorted(numbers - {0}))) or 'none'}"
        for kind, numbers in sorted(by_kind.items())
    )
    return seen if year is None else f"{seen}; folders of {year}"
