"""Whether the figures on the pages are those of the ledger.

A measured figure is followed by a mark that neither GitHub nor the site shows: `0.81<!-- claim: ID -->`. Everything
else outside code blocks that looks like a measurement must be covered by a definition in the ledger.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from claims_ledger import Claim, Definition, Ledger

PAGES: Final = (
    "*.md",
    "docs/*.md",
    "docs/[!_]*/**/*.md",
    "packages/*/*.md",
    "packages/*/changes/*.md",
    "packages/*/src/**/MODEL_CARD.md",
    "apps/*/*.md",
    "apps/*/changes/*.md",
    "tools/**/*.md",
)
"""Patterns of the pages that are held to the ledger."""

NOTICE: Final = "research use only"
"""Stands, in any case, on every page that shows a measured figure."""

_MARK: Final = re.compile(r"<!-- claim: ([a-z0-9.-]+) -->")
_MARK_START: Final = re.compile(r"<!--\s*claim", re.IGNORECASE)
_COMMENT: Final = re.compile(r"<!--.*?-->", re.DOTALL)
_FENCE: Final = re.compile(r"^\s*(`{3,}|~{3,})\s*(\S*)")
_PROSE_DIRECTIVE: Final = re.compile(r"\{(?!code|eval-rst|literalinclude|highlight)")
_ADDRESS: Final = re.compile(r"\]\([^)]*\)|https?://[^\s)>]+|arXiv:\S+|\b10\.\d{4,}/\S+")
_NUMBER: Final = r"(?<![\w.])\d+(?:[.,]\d+)*"
_UNITS: Final = (
    r"(?:s|sec|seconds?|ms|milliseconds?|min|minutes?|h|hours?|[kKMGT]i?B|[kmgt]\w{2,3}bytes?|per cent|percent)\b"
    r"|%|\u00d7(?!\s*\d)|x(?!\w)(?!\s*\d)|times\s+(?:as|faster|slower|less|more|smaller|larger)\b"
)
_WITH_UNIT: Final = re.compile(rf"{_NUMBER}[ \u00a0\u202f-]?(?:{_UNITS})")
# "at 2 mm" and "its own 1 mm" are resolutions.
_DISTANCE: Final = re.compile(rf"(?<!\bat )(?<!own ){_NUMBER}[ \u00a0\u202f-]?mm\b")
_DECIMAL: Final = re.compile(r"(?<![\w.])\d*\.\d+(?![\w.]*\w)")
_SCORED: Final = re.compile(
    r"\bdice\b|\biou\b|jaccard|sensitivity|specificity|accuracy|\bauc\b|\bWT\b|\bTC\b|\bET\b"
    r"|\((?:s|ms|min|MB|GB|MiB|GiB|%|mm)\)",
    re.IGNORECASE,
)
_DISTANCES: Final = re.compile(r"hd95|hausdorff", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of Markdown.

    Attributes:
        name: Path relative to the root of the repository, with forward slashes.
        text: Markdown.
    """

    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What checking pages found.

    Attributes:
        faults: One sentence for each, beginning with page and line.
        used: The definitions that covered a figure.
    """

    faults: tuple[str, ...]
    used: frozenset[Definition]


def find_pages(root: Path) -> list[Page]:
    """Return the pages that are held to the ledger.

    Args:
        root: Root of the repository.
    """
    paths = sorted({path for pattern in PAGES for path in root.glob(pattern) if path.is_file()})
    return [Page(name=p.relative_to(root).as_posix(), text=p.read_text(encoding="utf-8")) for p in paths]


def check_pages(pages: Sequence[Page], ledger: Ledger) -> Report:
    """Return what is wrong with the figures on pages.

    Args:
        pages: The pages.
        ledger: Claims and definitions.
    """
    faults: list[str] = []
    used: set[Definition] = set()
    for page in pages:
        faults.extend(f"{page.name}: {fault}" for fault in _page_faults(page, ledger, used))
    unused = (definition for definition in ledger.definitions if definition not in used)
    faults.extend(f"definition {d.text!r} covers no figure on {d.files}; take it out" for d in unused)
    return Report(faults=tuple(faults), used=frozenset(used))


def _page_faults(page: Page, ledger: Ledger, used: set[Definition]) -> Iterator[str]:
    shown = False
    scored = False
    after_table_title = False
    for block in _blocks(page.text):
        plain: list[tuple[int, str]] = []
        for number, line in block:
            faults, rest = _check_marks(line, ledger)
            shown = shown or rest != line
            yield from (f"line {number}: {fault}" for fault in faults)
            plain.append((number, rest))
        words = "\n".join(line for _, line in plain)
        is_table = words.lstrip().startswith("|")
        inherited = is_table and after_table_title and scored
        scored = bool(_SCORED.search(words) or _DISTANCES.search(words)) or inherited
        after_table_title = not is_table
        allowed = [d for d in ledger.definitions if d.covers(page.name)]
        for number, line in plain:
            for figure in _unmarked(line, allowed, used, scored=scored, distances=bool(_DISTANCES.search(words))):
                yield (
                    f"line {number}: {figure!r} looks measured; mark it with a claim of docs/claims.yaml, "
                    "or add it to the definitions there if nobody measured it"
                )
    if shown and NOTICE not in page.text.lower():
        yield f"shows measured figures without saying {NOTICE!r}"


def _blocks(text: str) -> Iterator[list[tuple[int, str]]]:
    """Yield runs of lines that are not empty, numbered from 1, without code blocks, front matter and addresses."""
    block: list[tuple[int, str]] = []
    for number, line in _prose(text):
        if line.strip():
            block.append((number, _ADDRESS.sub(" ", line)))
        elif block:
            yield block
            block = []
    if block:
        yield block


def _prose(text: str) -> Iterator[tuple[int, str]]:
    """Yield every line with its number; empty where it belongs to code or is a fence."""
    fences: list[tuple[str, bool]] = []  # the fence, and whether it holds code
    for number, line in enumerate(_without_comments(text).splitlines(), start=1):
        match = _FENCE.match(line)
        in_code = bool(fences) and fences[-1][1]
        if match and fences and not match[2] and match[1].startswith(fences[-1][0]):
            fences.pop()
        elif match and not in_code:
            fences.append((match[1], not _PROSE_DIRECTIVE.match(match[2])))
        yield number, "" if match or in_code else line


def _without_comments(text: str) -> str:
    """Return the text without comments but the marks; line numbers stay."""

    def blank(match: re.Match[str]) -> str:
        return match[0] if _MARK_START.match(match[0]) else "\n" * match[0].count("\n")

    return _COMMENT.sub(blank, text)


def _check_marks(line: str, ledger: Ledger) -> tuple[list[str], str]:
    """Return what is wrong with the marks of a line, and the line without marked figures."""
    faults: list[str] = []
    rest = ""
    end = 0
    for mark in _MARK.finditer(line):
        before = line[end : mark.start()]
        claim = ledger.claims.get(mark[1])
        if claim is None:
            faults.append(f"there is no claim {mark[1]!r} in docs/claims.yaml")
        else:
            fault = _mark_fault(before, line, claim)
            faults.extend([fault] if fault else [])
            before = before if fault else before[: -len(claim.text)]
        rest += before + " "
        end = mark.end()
    rest += line[end:]
    if _MARK_START.search(rest):
        faults.append("a mark is written <!-- claim: ID -->, with these spaces and an id in lower case")
    return faults, rest


def _mark_fault(before: str, line: str, claim: Claim) -> str | None:
    if not re.search(rf"(?<![\w.,-]){re.escape(claim.text)}$", before):
        return f"{before[-20:]!r} is marked as claim {claim.id!r}, which is printed as {claim.text!r}"
    if claim.subject == "phantom" and "phantom" not in line.lower():
        return f"claim {claim.id!r} is a phantom's; say 'phantom' in the same line or row"
    return None


def _unmarked(
    line: str, allowed: Sequence[Definition], used: set[Definition], *, scored: bool, distances: bool
) -> Iterator[str]:
    patterns = [_WITH_UNIT, *([_DECIMAL] if scored else []), *([_DISTANCE] if distances else [])]
    covered: list[tuple[int, int]] = []
    for match in sorted((m for p in patterns for m in p.finditer(line)), key=lambda m: (m.start(), -m.end())):
        if any(a <= match.start() < b for a, b in covered):
            continue
        covered.append(match.span())
        cover = [d for d in allowed if _within(match, line, d.text)]
        used.update(cover)
        if not cover:
            yield match[0]


def _within(match: re.Match[str], line: str, text: str) -> bool:
    places = (m.span() for m in re.finditer(re.escape(text), line))
    return any(start <= match.start() and match.end() <= end for start, end in places)
