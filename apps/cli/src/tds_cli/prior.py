"""What changed since an earlier time point, for the report of the later one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from tds_cli.belonging import origin_of
from tds_cli.errors import UsageFault
from tds_cli.following import FollowRequest, PointRequest, ReadPoint, compare_points, read_point
from tds_data.vocabulary import Modality
from tds_data.volume import Volume

if TYPE_CHECKING:
    from tds_clinical.dicom import SourceSeries
    from tds_clinical.followup import FollowUp
    from tds_core.inference import Segmentation


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Change:
    """What changed since an earlier time point.

    Attributes:
        follow_up: The comparison.
        timeline: PNG picture of the volumes over time.
    """

    follow_up: "FollowUp"
    timeline: bytes


def change_since(
    prior: PointRequest,
    found: "Segmentation",
    images: Mapping[Modality, Volume],
    source: "SourceSeries | None",
    *,
    when: date,
) -> Change:
    """Return what changed.

    Args:
        prior: The earlier time point.
        found: What was found now.
        images: The study's sequences as they were read; those on the mask's grid are registered with the earlier ones.
        source: What was read, if it was DICOM.
        when: Day of the study.

    Raises:
        DataError: If the earlier study or its result cannot be read.
        ClinicalError: If the time points cannot be compared.
    """
    from tds_clinical.followup.timeline import draw_timeline  # noqa: PLC0415  # few results have a prior

    lying = {modality: image for modality, image in images.items() if image.same_grid(found.mask)}
    now = ReadPoint(
        when=when,
        images=lying or dict(found.case.images),
        mask=found.mask,
        report=found.report,
        origin=None if source is None else origin_of(source.header),
    )
    follow_up = compare_points([read_point(prior, 1), now], FollowRequest(points=()))
    return Change(follow_up=follow_up, timeline=draw_timeline(follow_up))


def day_of_study(prior: PointRequest, said: date | None, source: "SourceSeries | None") -> date:
    """Return the day on which a study was taken, which is later than that of its prior.

    Args:
        prior: The earlier time point.
        said: What the user says.
        source: What was read, if it was DICOM.

    Raises:
        UsageFault: If nobody says, or it is no later.
    """
    day = said if said is not None or source is None else origin_of(source.header).day
    if day is None:
        message = "nothing says when the study was taken, which a comparison needs; say it with --date YYYY-MM-DD"
        raise UsageFault(message)
    if day <= prior.when:
        message = f"the study is of {day} and its prior of {prior.when}; a prior is earlier: check --prior and --date"
        raise UsageFault(message)
    return day
