"""Scores of masks against experts': case by case, summed up with intervals, as tables, pictures and a page.

Names are loaded when they are first used.
"""

from typing import TYPE_CHECKING

from tds_data._lazy import lazy_names

if TYPE_CHECKING:
    from tds_core.evaluation.bootstrap import Interval, mean_interval
    from tds_core.evaluation.cases import (
        CaseScores,
        case_folders,
        evaluate_case,
        mean_dice,
        sequence_subsets,
        with_sequences,
    )
    from tds_core.evaluation.summary import MetricSummary, summarise

__all__ = [
    "CaseScores",
    "Interval",
    "MetricSummary",
    "case_folders",
    "evaluate_case",
    "mean_dice",
    "mean_interval",
    "sequence_subsets",
    "summarise",
    "with_sequences",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "bootstrap": ("Interval", "mean_interval"),
        "cases": ("CaseScores", "case_folders", "evaluate_case", "mean_dice", "sequence_subsets", "with_sequences"),
        "summary": ("MetricSummary", "summarise"),
    },
)
