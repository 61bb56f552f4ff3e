"""The quality gate: what speaks against segmenting a study, found in a fraction of a second.

Findings of level `error` refuse the study, because a model would give a mask that means nothing: its inputs are
skull-stripped heads of adults at clinical resolution. Findings of level `warning` are shown with the result.
"""

from collections.abc import Iterable
from typing import Final

from tds_data.case import Case
from tds_data.errors import RefusedStudy
from tds_data.quality.content import check_content
from tds_data.quality.structure import UNUSABLE, check_structure
from tds_data.report import QualityFlag, Severity

_WEIGHT: Final = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}


def check_case(case: Case) -> tuple[QualityFlag, ...]:
    """Return what speaks against segmenting a case; errors first.

    Args:
        case: Registered sequences on one grid, with labels 0 to 3 in the mask if there is one.
    """
    structure = check_structure(case)
    return together(structure, content_flags(case, structure))


def content_flags(case: Case, structure: Iterable[QualityFlag]) -> tuple[QualityFlag, ...]:
    """Return what the pictures say against a case, of the images that a network could use.

    Args:
        case: Sequences on one grid.
        structure: Findings of the structural checks, which name the images of which nothing more can be said.
    """
    useless = {finding.subject for finding in structure if finding.code in UNUSABLE}
    images = {modality: volume for modality, volume in case.images.items() if modality not in useless}
    return check_content(Case(name=case.name, images=images, reference=case.reference)) if images else ()


def together(structure: Iterable[QualityFlag], content: Iterable[QualityFlag]) -> tuple[QualityFlag, ...]:
    """Return the findings of both kinds of checks, errors first; what both found is said once.

    Args:
        structure: Findings of `check_structure`.
        content: Findings of `check_content`.
    """
    known = list(dict.fromkeys(structure))
    said = {(finding.code, finding.subject) for finding in known}
    return by_weight([*known, *(finding for finding in content if (finding.code, finding.subject) not in said)])


def by_weight(flags: Iterable[QualityFlag]) -> tuple[QualityFlag, ...]:
    """Return findings with errors first, then warnings, and each kind in the order given.

    Args:
        flags: Findings in any order.
    """
    return tuple(sorted(flags, key=lambda flag: _WEIGHT[flag.severity]))


def refuse_errors(flags: tuple[QualityFlag, ...]) -> None:
    """Raise if a finding refuses the study.

    Args:
        flags: What `check_case` returned.

    Raises:
        RefusedStudy: If one of them is an error; holds them all.
    """
    if any(flag.severity is Severity.ERROR for flag in flags):
        raise RefusedStudy(flags)
