import json
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
WORKFLOW = ROOT / ".github/workflows/release.yml"
TAKEN = "tds-core"


def requirements() -> dict[str, set[str]]:
    """Names that each package requires by default or through an extra, by package."""
    found = {}
    for path in (*ROOT.glob("packages/*/pyproject.toml"), *ROOT.glob("apps/*/pyproject.toml")):
        project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
        extras = project.get("optional-dependencies", {}).values()
        lines = [*project.get("dependencies", []), *(line for extra in extras for line in extra)]
        found[project["name"]] = {re.split(r"[^A-Za-z0-9-]", line, maxsplit=1)[0] for line in lines}
    return found


def test_nothing_that_would_bring_the_strangers_package_is_published() -> None:
    required = requirements()
    kept_back = {TAKEN}
    while more := {name for name, needs in required.items() if needs & kept_back} - kept_back:
        kept_back |= more
    listed = re.search(r"!contains\(fromJSON\('(.*?)'\), needs\.build\.outputs\.package\)", WORKFLOW.read_text("utf-8"))
    assert listed is not None
    assert set(json.loads(listed[1])) == kept_back
    assert len(kept_back) > 1
