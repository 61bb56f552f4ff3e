"""The tables of `benchmarks.md`, made from the ledger."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Final

from claims_ledger import SUBJECTS, Claim, Ledger

BENCHMARKS: Final = Path("docs/benchmarks.md")
START: Final = "<!-- tables: written by docs/update_claims.py -->"
END: Final = "<!-- end of tables -->"
_HEADINGS: Final = {"patient": "Patients", "phantom": "Phantoms", "system": "Time, memory and size"}


def with_tables(page: str, ledger: Ledger) -> str:
    """Return the page with its tables made anew.

    Args:
        page: Markdown with the two comments between which the tables stand.
        ledger: What to show.

    Raises:
        ValueError: If the page lacks one of the comments.
    """
    before, start, rest = page.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        message = f"the page lacks {START!r} or {END!r}"
        raise ValueError(message)
    return f"{before}{START}\n\n{tables(ledger)}\n\n{END}{after}"


def tables(ledger: Ledger) -> str:
    """Return a section for each kind of subject that has claims, with a table for each measurement, as Markdown.

    Args:
        ledger: What to show.
    """
    parts = [part for subject in SUBJECTS for part in _section(subject, ledger)]
    return "\n".join(parts).strip() or "There are no measured figures yet."


def _section(subject: str, ledger: Ledger) -> Iterator[str]:
    claims = [claim for claim in ledger.claims.values() if claim.subject == subject]
    if not claims:
        return
    yield f"## {_HEADINGS[subject]}\n"
    if subject == "phantom":
        yield "Phantoms are made up. Nothing in this section says anything about patients.\n"
    for (command, hardware, commit, day), group in groupby(claims, key=_origin):
        yield f"`{command}` on {hardware}, {day}, at `{commit[:10]}`:\n"
        yield "| what | figure |\n|---|---|"
        yield from (_row(claim) for claim in group)
        yield ""


def _origin(claim: Claim) -> tuple[str, str, str, str]:
    return claim.command, claim.hardware, claim.commit, claim.date


def _row(claim: Claim) -> str:
    title = f"{claim.title} (phantom)" if claim.subject == "phantom" else claim.title
    return f"| {title} | {claim.text}<!-- claim: {claim.id} --> |"
