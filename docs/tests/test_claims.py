"""The ledger of claims holds for this repository, and its checker bites."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from claims_ledger import Claim, Definition, Ledger, LedgerError, check_artefacts, load_ledger, prints_as, sha256_of
from claims_pages import Page, check_pages, find_pages
from claims_tables import BENCHMARKS, with_tables


@pytest.fixture
def claim(tmp_path: Path) -> Claim:
    """A claim with its artefact below `tmp_path`."""
    path = tmp_path / "docs" / "claims" / "scores.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"mean": {"dice": {"WT": 0.8123}}, "cases": [{"phantom": False}]}))
    return Claim(
        id="wt-mean",
        title="mean Dice",
        value=0.8123,
        unit="1",
        text="0.81",
        command="tds evaluate DATA",
        artefact="docs/claims/scores.json",
        sha256=sha256_of(path),
        pointer="/mean/dice/WT",
        commit="0123abc",
        hardware="2 cores",
        date="2026-01-31",
        subject="patient",
    )


def faults(text: str, *claims: Claim, definitions: tuple[Definition, ...] = ()) -> tuple[str, ...]:
    ledger = Ledger(claims={c.id: c for c in claims}, definitions=definitions)
    return check_pages([Page(name="README.md", text=text)], ledger).faults


def test_the_repositorys_artefacts_say_what_its_ledger_says(root: Path) -> None:
    assert check_artefacts(load_ledger(root / "docs/claims.yaml"), root) == []


def test_the_repositorys_pages_show_only_figures_of_its_ledger(root: Path) -> None:
    assert check_pages(find_pages(root), load_ledger(root / "docs/claims.yaml")).faults == ()


def test_the_tables_of_the_benchmarks_page_are_those_of_the_ledger(root: Path) -> None:
    page = (root / BENCHMARKS).read_text(encoding="utf-8")
    assert with_tables(page, load_ledger(root / "docs/claims.yaml")) == page


def test_the_pages_of_every_package_are_looked_at(root: Path) -> None:
    names = {page.name for page in find_pages(root)}
    assert {"README.md", "docs/benchmarks.md", "tools/default_bundle/MODEL_CARD.md"} <= names
    assert {f"{p.parent.relative_to(root).as_posix()}/README.md" for p in root.glob("*/*/pyproject.toml")} <= names
    assert "packages/tds-core/src/tds_core/bundles/default/MODEL_CARD.md" in names


def test_a_true_claim_has_no_fault(claim: Claim, tmp_path: Path) -> None:
    assert check_artefacts(Ledger(claims={claim.id: claim}, definitions=()), tmp_path) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"sha256": "0" * 64}, "is not the file that was entered"),
        ({"text": "0.82"}, "printed as '0.82'"),
        ({"value": 0.7}, "value says 0.7"),
        ({"pointer": "/mean/dice/ET"}, "leads nowhere"),
        ({"pointer": "/mean"}, "not to a number"),
        ({"pointer": "/cases/0/phantom"}, "not to a number"),
        ({"artefact": "docs/claims/absent.json"}, "there is no artefact"),
    ],
)
def test_a_false_claim_is_found(claim: Claim, tmp_path: Path, change: dict[str, str], expected: str) -> None:
    ledger = Ledger(claims={claim.id: replace(claim, **change)}, definitions=())
    assert expected in " ".join(check_artefacts(ledger, tmp_path))


def test_an_artefact_with_a_phantom_is_never_a_patients(claim: Claim, tmp_path: Path) -> None:
    path = tmp_path / claim.artefact
    path.write_text(path.read_text().replace("false", "true"))
    same = replace(claim, sha256=sha256_of(path))
    assert check_artefacts(Ledger(claims={"x": replace(same, subject="phantom")}, definitions=()), tmp_path) == []
    assert "phantoms" in check_artefacts(Ledger(claims={"x": same}, definitions=()), tmp_path)[0]


@pytest.mark.parametrize(
    "change",
    [
        {"id": "WT mean"},
        {"text": "high"},
        {"artefact": "/etc/passwd"},
        {"artefact": "docs/claims/../../secret.json"},
        {"sha256": "abc"},
        {"commit": "main"},
        {"date": "yesterday"},
        {"subject": "mouse"},
        {"hardware": " "},
        {"value": True},
    ],
)
def test_a_garbled_entry_is_refused(claim: Claim, change: dict[str, object]) -> None:
    with pytest.raises(LedgerError, match="claim"):
        replace(claim, **change)


@pytest.mark.parametrize(
    "text",
    [
        "claims: []\n",
        "claims: []\ndefinitions: []\nmore: []\n",
        "claims: [{id: x}]\ndefinitions: []\n",
        "claims: []\ndefinitions: [{text: x, files: y}]\n",
        "claims: [\n",
    ],
)
def test_a_garbled_ledger_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "claims.yaml"
    path.write_text(text)
    with pytest.raises(LedgerError):
        load_ledger(path)


@pytest.mark.parametrize(
    ("number", "text", "unit", "expected"),
    [
        (0.8123, "0.81", "1", True),
        (0.8123, "0.812", "1", True),
        (0.8123, "0.82", "1", False),
        (0.8123, "81.2 %", "1", True),
        (81.23, "81.2 %", "%", True),
        (8.44, "8.4 s", "s", True),
        (8.46, "8.4 s", "s", False),
        (9.0, "9 MB", "MB", True),
    ],
)
def test_a_figure_is_compared_to_its_printed_digits(number: float, text: str, unit: str, *, expected: bool) -> None:
    assert prints_as(number, text, unit) is expected


NOTE = "\n\nResearch use only.\n"


def test_a_marked_figure_passes(claim: Claim) -> None:
    assert faults(f"Its Dice is 0.81<!-- claim: wt-mean -->.{NOTE}", claim) == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Its Dice is 0.83<!-- claim: wt-mean -->.", "printed as '0.81'"),
        ("Its Dice is 10.81<!-- claim: wt-mean -->.", "printed as '0.81'"),
        ("Its Dice is -0.81<!-- claim: wt-mean -->.", "printed as '0.81'"),
        ("Its Dice is 0.81<!-- claim: unknown -->.", "no claim 'unknown'"),
        ("Its Dice is 0.81<!--claim: wt-mean-->.", "a mark is written"),
        ("Its Dice is 0.81<!-- claim: wt-mean --> and 0.9 for TC.", "'0.9' looks measured"),
    ],
)
def test_a_wrong_mark_is_found(claim: Claim, text: str, expected: str) -> None:
    assert expected in " ".join(faults(text + NOTE, claim))


@pytest.mark.parametrize(
    "text",
    [
        "The Dice is 0.81.",
        "The mean Dice\nof the whole tumour is\n0.81 on patients.",
        "| patient | Dice WT |\n|---|---|\n| A | 0.81 |",
        "Mean Dice by sequence:\n\n| sequences | all |\n|---|---|\n| t1 | 0.81 |",
        "| run | time (s) |\n|---|---|\n| A | 8.4 |",
        "HD95 of 7 mm.",
        "Done in 8.4 s.",
        "Done in 12 seconds.",
        "It takes 3 minutes.",
        "A peak of 2.1 GB.",
        "A peak of 2.1 gigabytes.",
        "A peak of 900 MiB.",
        "The **Dice** is **0.81**.",
        "The bundle has 9 MB.",
        "It is 3.2\u00d7 faster.",
        "It is 3x faster.",
        "It is 2 times as fast.",
        "Right in 94 % of cases.",
        "Right in 94 per cent of cases.",
        "```{note}\nDone in 8.4 s.\n```",
        ":::{note}\nDone in 8.4 s.\n:::",
        "Here is code:\n```\nx\n```\nDone in 8.4 s.",
        "The sensitivity was .93 there.",
    ],
)
def test_an_unmarked_measurement_is_found(text: str) -> None:
    assert "looks measured" in " ".join(faults(text))


@pytest.mark.parametrize(
    "text",
    [
        "```console\nDone in 8.4 s, Dice 0.81\n```",
        "````\n```\nDone in 8.4 s\n````",
        "```{code-block} text\nDone in 8.4 s\n```",
        "Version 0.1.0 of tds-core needs Python 3.11.",
        "A grid of 240x240x155 voxels, 4 \u00d7 4 matrices.",
        "Voxels of 2.0 mm.",
        "HD95 at the study's own 1 mm, HD95 at 2 mm.",
        "Dice is cited from [a paper](https://example.org/10.1109/0.81) and arXiv:2107.02314.",
        "<!-- Dice 0.81 is only a remark -->",
        "Version 0.1.0 reports a Dice.",
        "Five patients, 5 sequences.",
    ],
)
def test_what_is_no_measurement_passes(text: str) -> None:
    assert faults(text) == ()


def test_a_definition_covers_its_own_words_only() -> None:
    rule = Definition(files="README.md", text="under 3 minutes", reason="a target")
    assert faults("It must end under 3 minutes.", definitions=(rule,)) == ()
    assert len(faults("It must end under 3 minutes; it took 2 minutes.", definitions=(rule,))) == 1
    assert len(faults("It must end under 3 minutes.", definitions=(replace(rule, files="docs/*"),))) == 2


def test_a_definition_that_covers_nothing_is_found() -> None:
    rule = Definition(files="README.md", text="under 3 minutes", reason="a target")
    assert "covers no figure" in faults("No figure.", definitions=(rule,))[0]


def test_a_phantoms_figure_stands_only_where_phantom_is_said(claim: Claim) -> None:
    made_up = replace(claim, subject="phantom")
    table = "| {} | Dice |\n|---|---|\n| {} | 0.81<!-- claim: wt-mean --> |" + NOTE
    assert faults(table.format("case", "phantom-0007"), made_up) == ()
    assert "say 'phantom'" in " ".join(faults(table.format("phantom", "0007"), made_up))


def test_a_page_with_figures_says_research_use_only(claim: Claim) -> None:
    assert "research use only" in faults("Dice 0.81<!-- claim: wt-mean -->", claim)[0]


def test_a_planted_page_is_found_where_it_lies(claim: Claim, tmp_path: Path) -> None:
    for name in ("README.md", "docs/how-to/fast.md", "packages/tds-core/README.md", "packages/x/src/y/MODEL_CARD.md"):
        page = tmp_path / name
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text("# Title\n\nThe Dice is 0.99.\n")
    found = check_pages(find_pages(tmp_path), Ledger(claims={claim.id: claim}, definitions=())).faults
    assert len(found) == 4
    assert all("line 3: '0.99'" in fault for fault in found)
