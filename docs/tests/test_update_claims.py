import json
import subprocess
from pathlib import Path

import pytest
from claims_ledger import check_artefacts, load_ledger
from claims_pages import check_pages, find_pages
from claims_tables import END, START
from update_claims import main, reprinted

README = "# House\n\nResearch use only.\n\nIt takes 8.4 s<!-- claim: time -->.\n"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a ledger of one claim about `docs/claims/time.json`."""
    (tmp_path / "docs/claims").mkdir(parents=True)
    (tmp_path / "docs/claims/time.json").write_text(json.dumps({"tds": {"wall_s": 8.42}}))
    (tmp_path / "docs/claims.yaml").write_text("claims: []\ndefinitions: []\n")
    (tmp_path / "docs/benchmarks.md").write_text(f"# Benchmarks\n\nResearch use only.\n\n{START}\n{END}\n")
    (tmp_path / "README.md").write_text(README)
    who = ["-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
    for arguments in (["init", "-q"], ["add", "."], [*who, "commit", "-q", "-m", "Begin"]):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True)  # noqa: S603, S607  # fixed commands
    shown = ["--title", "wall time", "--unit", "s", "--text", "8.4 s", "--pointer", "/tds/wall_s"]
    source = ["--artefact", "docs/claims/time.json", "--command", "nox -s bench", "--hardware", "2 cores"]
    main(["add", "time", *shown, *source, "--subject", "system"], tmp_path)
    return tmp_path


def holds(repository: Path) -> bool:
    ledger = load_ledger(repository / "docs/claims.yaml")
    return not check_artefacts(ledger, repository) and not check_pages(find_pages(repository), ledger).faults


def test_an_added_claim_holds_with_its_commit_and_table(repository: Path) -> None:
    claim = load_ledger(repository / "docs/claims.yaml").claims["time"]
    assert (claim.value, claim.text, len(claim.commit)) == (8.42, "8.4 s", 40)
    page = (repository / "docs/benchmarks.md").read_text()
    assert "`nox -s bench` on 2 cores, " in page
    assert "| wall time | 8.4 s<!-- claim: time --> |" in page
    assert holds(repository)


def test_refresh_carries_a_new_figure_to_the_pages(repository: Path) -> None:
    (repository / "docs/claims/time.json").write_text(json.dumps({"tds": {"wall_s": 7.06}}))
    assert not holds(repository)
    main(["refresh"], repository)
    assert "It takes 7.1 s<!-- claim: time -->" in (repository / "README.md").read_text()
    assert holds(repository)


def test_refresh_leaves_what_did_not_change(repository: Path) -> None:
    before = (repository / "docs/claims.yaml").read_bytes()
    main(["refresh"], repository)
    assert (repository / "docs/claims.yaml").read_bytes() == before


def test_an_evaluation_enters_every_figure_of_the_model_card(repository: Path, root: Path) -> None:
    scores = {"dice": dict.fromkeys(("WT", "TC", "ET"), 0.5), "hd95_mm": dict.fromkeys(("WT", "TC", "ET"), 9.0)}
    document = {
        "cases": [{"case": "P_0003", "phantom": False, **scores}],
        "mean": scores,
        "subsets": [{"modalities": ["t1", "flair"], "mean": scores}],
    }
    (repository / "docs/claims/validation.json").write_text(json.dumps(document))
    card = repository / "tools/default_bundle/card.py"
    card.parent.mkdir(parents=True)
    card.write_text((root / "tools/default_bundle/card.py").read_text(encoding="utf-8"))
    main(
        ["add-evaluation", "docs/claims/validation.json", "--command", "tds evaluate", "--hardware", "2 cores"],
        repository,
    )
    claims = load_ledger(repository / "docs/claims.yaml").claims
    assert len(claims) == 1 + 2 * 6 + 3
    assert claims["val-0003-hd95-tc"].title == "HD95 TC, patient 0003"
    assert claims["subset-t1-flair-dice-et"].title == "mean Dice ET from t1, flair"
    assert holds(repository)


@pytest.mark.parametrize(
    ("text", "value", "unit", "expected"),
    [
        ("8.4 s", 8.44, "s", "8.4 s"),
        ("8.4 s", 7.0, "s", "7.0 s"),
        ("9 MB", 10.2, "MB", "10 MB"),
        ("81 %", 0.9, "1", "90 %"),
    ],
)
def test_a_figure_is_reprinted_to_its_digits(text: str, value: float, unit: str, expected: str) -> None:
    assert reprinted(text, value, unit) == expected
