"""Which series is read as which sequence: the caller's choice first, then the best claim."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tds_clinical.dicom._contrast import told_by_order
from tds_clinical.dicom._model import SeriesFiles
from tds_clinical.dicom._preferences import prefer
from tds_clinical.dicom.identify import SequenceGuess, hear
from tds_clinical.errors import AmbiguousSeries, SeriesNotFound
from tds_data.vocabulary import MODALITIES, Modality

LEAST_CONFIDENCE: Final = 0.5
_SIMILAR_CONFIDENCE: Final = 0.2
_ROUNDING: Final = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IdentifiedSeries:
    """One series of a study and what became of it.

    Attributes:
        files: The series.
        guess: What its header says that it is.
        modality: The sequence that it was read as, or `None` if it was left out.
        overridden: Whether the caller chose it.
        preferred_because: Why it was taken and not others that claim the same sequence; empty if none did.
    """

    files: SeriesFiles
    guess: SequenceGuess
    modality: Modality | None
    overridden: bool = False
    preferred_because: str = ""

    @property
    def passed_over(self) -> bool:
        """Whether it might well be a sequence that another series was read as."""
        return self.modality is None and self.guess.modality is not None and self.guess.confidence >= LEAST_CONFIDENCE


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Picked:
    """What was made of the series of a study.

    Attributes:
        series: Every one, in the order they were given in.
        disputes: Sequences that several series claim alike, so that none was picked.
    """

    series: tuple[IdentifiedSeries, ...]
    disputes: tuple[AmbiguousSeries, ...]

    @property
    def chosen(self) -> dict[Modality, SeriesFiles]:
        """The series of each sequence, in model order."""
        of = {entry.modality: entry.files for entry in self.series if entry.modality is not None}
        return {modality: of[modality] for modality in MODALITIES if modality in of}


def pick_series(all_series: Sequence[SeriesFiles], overrides: Mapping[Modality, str]) -> Picked:
    """Return what each series is read as.

    Args:
        all_series: Every series of a study.
        overrides: Series number, as `SeriesFiles.name`, or Series Instance UID to read as a sequence, whatever the
            header says.

    Raises:
        SeriesNotFound: If an override names no series.
        AmbiguousSeries: If an override names several.
    """
    overridden = {modality: _named(all_series, modality, name) for modality, name in overrides.items()}
    guesses = {series.key: guess for series, guess in zip(all_series, _guesses(all_series), strict=True)}
    taken = {series.key for series in overridden.values()}
    free = [s for s in all_series if s.key not in taken and guesses[s.key].confidence >= LEAST_CONFIDENCE]
    picked, reasons = {series.key: modality for modality, series in overridden.items()}, {}
    disputes = []
    for modality in (m for m in MODALITIES if m not in overridden):
        claims = _best([s for s in free if guesses[s.key].modality is modality], guesses)
        best, why = prefer(claims, later=modality is Modality.T1CE)
        if len(best) == 1:
            picked[best[0].key], reasons[best[0].key] = modality, why
        elif best:
            disputes.append(AmbiguousSeries(modality, tuple(map(_called, best))))
    identified = tuple(
        IdentifiedSeries(
            files=series,
            guess=guesses[series.key],
            modality=picked.get(series.key),
            overridden=series.key in taken,
            preferred_because=reasons.get(series.key, ""),
        )
        for series in all_series
    )
    return Picked(series=identified, disputes=tuple(disputes))


def _guesses(all_series: Sequence[SeriesFiles]) -> tuple[SequenceGuess, ...]:
    return told_by_order([hear(series.header) for series in all_series])


def _named(all_series: Sequence[SeriesFiles], modality: Modality, name: str) -> SeriesFiles:
    matches = [s for s in all_series if name in {s.uid, s.name, str(s.number)}]
    exact = [s for s in matches if name == s.name]
    found = exact or matches
    if not found:
        raise SeriesNotFound(modality, ", ".join(s.name or "one without a number" for s in all_series))
    if len(found) > 1:
        raise AmbiguousSeries(modality, tuple(map(_called, found)))
    return found[0]


def _called(series: SeriesFiles) -> str:
    return series.label if series.index is None or not series.name else f"{series.label} ({series.name})"


def _best(claims: Sequence[SeriesFiles], guesses: Mapping[str, SequenceGuess]) -> list[SeriesFiles]:
    if not claims:
        return []
    best = max(guesses[s.key].confidence for s in claims)
    return [s for s in claims if guesses[s.key].confidence >= best - _SIMILAR_CONFIDENCE - _ROUNDING]
