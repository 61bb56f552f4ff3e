"""Scores of masks against experts': case by case, summed up with intervals, as tables, pictures and a page.

Names are loaded when they are first used.
"""

from typing import TYPE_CHECKING

from tds_data._lazy import lazy_names

if TYPE_CHECKING:
    from tds_core.evaluation.bootstrap import Interval, mean_interval
    from tds_core.evaluation.cases import (
        CaseScores,
        as_scored,
        case_folders,
        evaluate_case,
        mean_dice,
        score_labels,
        sequence_subsets,
        with_sequences,
    )
    from tds_core.evaluation.gallery import Gallery, JudgedCase
    from tds_core.evaluation.report import Evaluation, GalleryEntry, render_page, worst_first, write_report
    from tds_core.evaluation.summary import MetricSummary, ScoredCase, summarise

__all__ = [
    "CaseScores",
    "Evaluation",
    "Gallery",
    "GalleryEntry",
    "Interval",
    "JudgedCase",
    "MetricSummary",
    "ScoredCase",
    "as_scored",
    "case_folders",
    "evaluate_case",
    "mean_dice",
    "mean_interval",
    "render_page",
    "score_labels",
    "sequence_subsets",
    "summarise",
    "with_sequences",
    "worst_first",
    "write_report",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "bootstrap": ("Interval", "mean_interval"),
        "cases": (
            "CaseScores",
            "as_scored",
            "case_folders",
            "evaluate_case",
            "mean_dice",
            "score_labels",
            "sequence_subsets",
            "with_sequences",
        ),
        "gallery": ("Gallery", "JudgedCase"),
        "report": ("Evaluation", "GalleryEntry", "render_page", "worst_first", "write_report"),
        "summary": ("MetricSummary", "ScoredCase", "summarise"),
    },
)
