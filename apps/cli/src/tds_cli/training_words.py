"""What is said of a training run that is under way: in words and as JSON."""

import math
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:  # keeps `tds --help` quick
    from tds_core.training.engine import Progress, ValidationResult

RESEARCH: Final = "research use only"
"""What stands beside every score."""

_GIB: Final = 1024**3


def state(progress: "Progress") -> str:
    """Return loss, rate, speed, time left and memory in one line.

    Args:
        progress: Where the run stands.
    """
    words = [
        "no loss yet" if math.isnan(progress.loss) else f"loss {progress.loss:.4f}",
        f"rate {progress.rate:.2e}",
        f"{progress.steps_per_s:.2f} steps/s",
        f"{duration(progress.eta_s)} left",
        f"{progress.micro_batch} at once",
    ]
    if progress.rss_bytes is not None:
        words.append(f"RAM {progress.rss_bytes / _GIB:.1f} GiB")
    if progress.vram_bytes is not None:
        words.append(f"GPU {progress.vram_bytes / _GIB:.1f} GiB")
    return ", ".join(words)


def in_words(result: "ValidationResult") -> str:
    """Return the mean Dice per region, and what it was measured on.

    Args:
        result: A validation.
    """
    regions = ", ".join(f"{region} {dice:.3f}" for region, dice in result.mean_dice.items())
    return f"Dice {regions}, mean {result.score:.3f} ({subjects(result)}, {RESEARCH})"


def subjects(result: "ValidationResult") -> str:
    """Return on how many patients and phantoms a score was measured; phantoms are never passed over.

    Args:
        result: A validation.
    """
    phantoms = sum(case.phantom for case in result.cases)
    patients = len(result.cases) - phantoms
    parts = [f"{patients} {'patient' if patients == 1 else 'patients'}"] * (patients > 0)
    parts += [f"{phantoms} PHANTOM{'' if phantoms == 1 else 'S'}"] * (phantoms > 0)
    return " and ".join(parts)


def duration(seconds: float) -> str:
    """Return a time for people.

    Args:
        seconds: How long; infinite or NaN if nobody knows.

    Examples:
        >>> duration(3723.0)
        '1:02:03'
    """
    if not math.isfinite(seconds):
        return "unknown time"
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{f'{days} d ' if days else ''}{hours}:{minutes:02d}:{rest:02d}"


def progress_document(progress: "Progress") -> dict[str, Any]:
    """Return a report as plain JSON types; what is not known is `None`.

    Args:
        progress: Where the run stands.
    """
    numbers = {
        "loss": progress.loss,
        "rate": progress.rate,
        "steps_per_s": progress.steps_per_s,
        "eta_s": progress.eta_s,
    }
    return {
        "type": "progress",
        "step": progress.step,
        "total_steps": progress.total_steps,
        "epoch": progress.epoch,
        **{name: number if math.isfinite(number) else None for name, number in numbers.items()},
        "micro_batch": progress.micro_batch,
        "rss_bytes": progress.rss_bytes,
        "vram_bytes": progress.vram_bytes,
    }


def validation_document(step: int, result: "ValidationResult") -> dict[str, Any]:
    """Return a validation as plain JSON types.

    Args:
        step: When it was made.
        result: What it found.
    """
    phantoms = sum(case.phantom for case in result.cases)
    return {
        "type": "validation",
        "step": step,
        "dice": dict(result.mean_dice),
        "score": result.score,
        "patients": len(result.cases) - phantoms,
        "phantoms": phantoms,
        "notice": "Research use only.",
    }
