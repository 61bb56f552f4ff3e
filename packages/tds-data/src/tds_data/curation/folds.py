"""Folds for cross-validation: whole patients, small and large tumours in each, the same on every machine."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import numpy as np

from tds_data.curation.tumour_volume import tumour_volumes_ml
from tds_data.datasets._pool import Progress
from tds_data.datasets.manifest import CaseEntry, Manifest
from tds_data.errors import FoldError

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_MIN_FOLDS: Final = 2
_MIN_GROUP: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldConfig:
    """How to split.

    Attributes:
        count: How many folds.
        seed: Another seed gives another split.
        holdout: Names of cases that are kept out of all folds, for a last test; the whole patient goes with each.
        left_out: Names of cases that are not used at all.
        attribute: An attribute of the manifest's cases whose values are spread evenly, too, such as `sex`.

    Raises:
        FoldError: If there are fewer than two folds, the seed is negative, or a case is in both lists.
    """

    count: int = 5
    seed: int = 0
    holdout: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    attribute: str | None = None

    def __post_init__(self) -> None:
        if self.count < _MIN_FOLDS or self.seed < 0:
            message = f"there are two folds or more, and a seed from 0 on; {self.count} and {self.seed} were given"
            raise FoldError(message)
        both = sorted(set(self.holdout) & set(self.left_out))
        if both:
            message = f"{both[0]!r} is to be held out and left out; choose one of them"
            raise FoldError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Folds:
    """A split of a data set.

    Attributes:
        manifest_sha256: Digest of the manifest that it was made for.
        seed: What it was made with.
        attribute: What was spread evenly besides the tumours' volume.
        folds: Names of the cases in each fold, sorted.
        holdout: Names of the cases kept out of all folds.
        left_out: Names of the cases that are not used: asked for, or without a mask.
        volumes_ml: Millilitres of tumour in each case with a mask.

    Raises:
        FoldError: If there are fewer than two folds, one is empty, or a case is at two places.
    """

    manifest_sha256: str
    seed: int
    folds: tuple[tuple[str, ...], ...]
    holdout: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    attribute: str | None = None
    volumes_ml: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _SHA256.fullmatch(self.manifest_sha256):
            message = "folds note the SHA-256 of their manifest, of 64 lower-case hexadecimal digits"
            raise FoldError(message)
        if len(self.folds) < _MIN_FOLDS or not all(self.folds):
            message = f"a split has two folds or more, none of them empty; this one has {len(self.folds)}"
            raise FoldError(message)
        counts = Counter(name for part in (*self.folds, self.holdout, self.left_out) for name in part)
        twice = [name for name, count in counts.items() if count > 1]
        if twice:
            message = f"each case is at one place of a split; {twice[0]!r} is at several"
            raise FoldError(message)
        object.__setattr__(self, "volumes_ml", MappingProxyType(dict(self.volumes_ml)))

    @property
    def places(self) -> dict[str, str]:
        """Where each case in use is: `fold 0`, `fold 1` and so on, or `holdout`."""
        numbered = {name: f"fold {number}" for number, fold in enumerate(self.folds) for name in fold}
        return numbered | dict.fromkeys(self.holdout, "holdout")

    def training(self, fold: int) -> tuple[str, ...]:
        """Return the names of the cases to train on when a fold is kept for validation, sorted.

        Args:
            fold: From 0 on.

        Raises:
            FoldError: If there is no such fold.
        """
        if not 0 <= fold < len(self.folds):
            message = f"there is no fold {fold}; the {len(self.folds)} folds are counted from 0 on"
            raise FoldError(message)
        return tuple(sorted(name for number, names in enumerate(self.folds) if number != fold for name in names))

    def check(self, manifest: Manifest) -> None:
        """Refuse a data set that the folds were not made for.

        Args:
            manifest: The data set.

        Raises:
            FoldError: If it has changed since, or is another one.
        """
        if manifest.digest != self.manifest_sha256:
            message = (
                "the folds were made for another data set, or it has changed since; make them again, or use the "
                "manifest that they were made from"
            )
            raise FoldError(message)


def make_folds(
    manifest: Manifest,
    config: FoldConfig | None = None,
    *,
    volumes_ml: Mapping[str, float] | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Folds:
    """Return a split of a data set's patients, drawn at random within groups of alike patients.

    The patients of each value of the attribute are sorted by the volume of their tumours, and each run of as many
    patients as there are folds is dealt out, one to each fold. So folds differ by one patient at most, and by less than
    the range of volumes in all their tumours together. The same seed gives the same split on every machine, in whatever
    order the cases are listed.

    Args:
        manifest: The data set; cases without a mask are left out.
        config: How; five folds by default.
        volumes_ml: Millilitres of tumour in each case, if they are known; the masks are read otherwise.
        workers: How many masks are read at a time.
        progress: Told how many are read.

    Raises:
        FoldError: If there are fewer patients than folds, a name is not in the manifest, or the attribute is nowhere or
            has too many values.
        VolumeReadError: If a mask cannot be read.
        LabelError: If a mask holds something else than labels.
    """
    config = config or FoldConfig()
    _check_names(manifest, config)
    volumes = volumes_ml if volumes_ml is not None else tumour_volumes_ml(manifest, workers=workers, progress=progress)
    usable = [c for c in manifest.cases if c.mask is not None and c.name not in config.left_out]
    _check_volumes(usable, volumes)
    held = {case.patient for case in manifest.cases if case.name in config.holdout}
    patients = _patients([case for case in usable if case.patient not in held], volumes, config.attribute)
    _check_patients(patients, config)
    dealt = _deal(patients, config)
    holdout = sorted(case.name for case in usable if case.patient in held)
    used = {name for fold in dealt for name in fold} | set(holdout)
    return Folds(
        manifest_sha256=manifest.digest,
        seed=config.seed,
        folds=tuple(tuple(sorted(fold)) for fold in dealt),
        holdout=tuple(holdout),
        left_out=tuple(sorted(case.name for case in manifest.cases if case.name not in used)),
        attribute=config.attribute,
        volumes_ml={name: volumes[name] for name in sorted(volumes)},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Patient:
    name: str
    cases: tuple[str, ...]
    volume_ml: float
    group: str


def _check_names(manifest: Manifest, config: FoldConfig) -> None:
    names = {case.name: case for case in manifest.cases}
    for name in (*config.holdout, *config.left_out):
        if name not in names:
            message = f"the manifest has no case {name!r} among its {len(names)}; check the name"
            raise FoldError(message)
    for name in config.holdout:
        if names[name].mask is None:
            message = f"{name!r} is to be held out for a test and has no mask to test with; leave it out instead"
            raise FoldError(message)


def _check_volumes(cases: Sequence[CaseEntry], volumes: Mapping[str, float]) -> None:
    unmeasured = [case.name for case in cases if case.name not in volumes]
    if unmeasured:
        message = f"no volume is given for {unmeasured[0]!r}, which has a mask; give one for each case, or none"
        raise FoldError(message)


def _patients(cases: Sequence[CaseEntry], volumes: Mapping[str, float], attribute: str | None) -> list[_Patient]:
    by_patient: dict[str, list[CaseEntry]] = defaultdict(list)
    for case in cases:
        by_patient[case.patient].append(case)
    patients = []
    for name, members in sorted(by_patient.items()):
        group = sorted({case.attributes.get(attribute, "") for case in members}) if attribute else [""]
        mean = round(sum(sorted(volumes[case.name] for case in members)) / len(members), 3)
        names = tuple(sorted(case.name for case in members))
        patients.append(_Patient(name=name, cases=names, volume_ml=mean, group=" ".join(group)))
    return patients


def _check_patients(patients: Sequence[_Patient], config: FoldConfig) -> None:
    if len(patients) < config.count:
        message = (
            f"{len(patients)} patients with a mask are too few for {config.count} folds; ask for {len(patients)} folds "
            "at most, or hold out fewer"
            if len(patients) >= _MIN_FOLDS
            else f"{len(patients)} patients with a mask cannot be split; add patients or masks"
        )
        raise FoldError(message)
    groups = {patient.group for patient in patients}
    if config.attribute is not None and groups == {""}:
        message = f"no case has the attribute {config.attribute!r}; look at the manifest for those that there are"
        raise FoldError(message)
    if config.attribute is not None and _MIN_GROUP * len(groups) > len(patients):
        message = (
            f"the attribute {config.attribute!r} has {len(groups)} values for {len(patients)} patients, too many to "
            f"spread over {config.count} folds; choose one with few values"
        )
        raise FoldError(message)


def _deal(patients: Sequence[_Patient], config: FoldConfig) -> list[list[str]]:
    draw = np.random.PCG64(config.seed).random_raw  # raw bits stay the same in every version of NumPy
    folds: list[list[str]] = [[] for _ in range(config.count)]
    sizes = [0] * config.count
    for group in sorted({patient.group for patient in patients}):
        members = sorted((p for p in patients if p.group == group), key=lambda p: (p.volume_ml, p.name))
        for run in _runs(members, config.count):
            lots = [draw() for _ in range(config.count)]
            free = sorted(range(config.count), key=lambda f: (sizes[f], len(folds[f]), lots[f]))[: len(run)]
            order = sorted(free, key=lambda f: (len(folds[f]), lots[f]))
            keyed = sorted((-len(patient.cases), draw(), patient.cases) for patient in run)
            for fold, (_, _, cases) in zip(order, keyed, strict=True):
                folds[fold].extend(cases)
                sizes[fold] += 1
    return folds


def _runs(members: Sequence[_Patient], count: int) -> Iterator[Sequence[_Patient]]:
    """Give runs of neighbours, a shorter one in the middle: its volumes move the folds' means least."""
    rest = len(members) % count
    middle = len(members) // count // 2 * count
    yield from (members[start : start + count] for start in range(0, middle, count))
    if rest:
        yield members[middle : middle + rest]
    yield from (members[start : start + count] for start in range(middle + rest, len(members), count))
