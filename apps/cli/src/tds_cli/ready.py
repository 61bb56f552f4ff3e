"""From what was read to what the model can see, and back."""

from dataclasses import replace

from tds_cli.native import WayBack, as_they_lie, result_sequence
from tds_cli.output import Progress
from tds_cli.study import RawStudy, Study
from tds_data.case import Case
from tds_data.geometry import to_canonical
from tds_data.vocabulary import Modality


def make_ready(
    raw: RawStudy, *, prepare: bool | None, space: Modality | None, progress: Progress
) -> tuple[Study, WayBack]:
    """Return a study registered and stripped, and the way back to where one of its sequences was taken.

    Args:
        raw: What was read, each sequence on its own grid.
        prepare: Whether to register the sequences and strip the skull; if `None`, only where they do not share one
            grid or show a skull.
        space: The sequence on whose grid results shall lie, if it must be a certain one.
        progress: Hears of each step.

    Raises:
        DataError: If the study has not that sequence, cannot be prepared, or must be and is not to be.
    """
    modality = result_sequence(raw, space)
    native = raw.images[modality]
    case = as_they_lie(raw)
    if prepare or (prepare is None and (case is None or _shows_skull(raw))):
        return _prepared(raw, modality, progress)
    if case is None:
        case = Case(name=raw.name, images=raw.images)  # raises GridMismatch, which tells of the grids
    if raw.reference is not None:
        case = replace(case, reference=to_canonical(raw.reference))
    return Study(case=case, notes=raw.notes, phantom=bool(raw.prefix)), WayBack(modality=modality, native=native)


def _shows_skull(raw: RawStudy) -> bool:
    from tds_data.raw.strip import is_stripped  # noqa: PLC0415  # few studies need it

    return not is_stripped(raw.images[result_sequence(raw, None)])


def _prepared(raw: RawStudy, modality: Modality, progress: Progress) -> tuple[Study, WayBack]:
    from tds_cli.preparation import (  # noqa: PLC0415  # few studies need it
        PrepareOptions,
        carried_reference,
        preparation_flags,
        prepare_study,
    )

    # Scanners leave images brighter near a coil, and the default model takes that for oedema.
    options = PrepareOptions(bias=True)
    prepared = prepare_study(raw, options, progress=progress)
    case = replace(prepared.case, reference=carried_reference(raw, prepared))
    study = Study(case=case, notes=(*raw.notes, *preparation_flags(prepared, options)), phantom=bool(raw.prefix))
    return study, WayBack(modality=modality, native=raw.images[modality], plan=prepared.plan)
