import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from check_installed import faults, forbidden_present, main, modules_of, top_level_modules


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the import path with the package `house_of_tests`, whose module `attic` needs what is not there."""
    package = tmp_path / "house_of_tests"
    (package / "attic").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "cellar.py").write_text("")
    (package / "attic" / "__init__.py").write_text("import a_library_that_is_not_there\n")
    (package / "attic" / "trunk.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("house_of_tests")]:
        del sys.modules[name]


@pytest.fixture
def installed(house: Path) -> Path:
    """The same package with the metadata that an installer writes."""
    info = house / "house_of_tests-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: house-of-tests\nVersion: 1.0\n")
    files = ["house_of_tests/__init__.py", "house_of_tests/cellar.py", "house_of_tests-1.0.dist-info/METADATA"]
    (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))
    return house


def test_library_that_is_there_is_reported_and_one_that_is_not_is_not() -> None:
    assert forbidden_present(["pytest", "a_library_that_is_not_there"]) == ("pytest",)


@pytest.mark.usefixtures("house")
def test_module_of_an_extra_is_skipped_with_all_below_it() -> None:
    assert list(modules_of("house_of_tests", ["house_of_tests.attic"])) == ["house_of_tests", "house_of_tests.cellar"]


@pytest.mark.usefixtures("house")
def test_module_that_cannot_be_imported_is_not_passed_over() -> None:
    with pytest.raises(ModuleNotFoundError, match="a_library_that_is_not_there"):
        list(modules_of("house_of_tests", []))


@pytest.mark.usefixtures("installed")
def test_import_names_come_from_the_installed_files() -> None:
    assert top_level_modules("house-of-tests") == ("house_of_tests",)


@pytest.mark.usefixtures("installed")
def test_package_from_a_source_tree_is_a_fault() -> None:
    found = faults("house-of-tests", forbidden=[], skipped=["house_of_tests.attic"])
    assert found == [
        "house_of_tests was not imported from the installed wheel",
        "house_of_tests.cellar was not imported from the installed wheel",
    ]


def test_installed_package_without_faults_passes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["iniconfig", "--forbid", "a_library_that_is_not_there"]) == 0
    assert capsys.readouterr().err == ""


def test_forbidden_library_fails_the_check_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["iniconfig", "--forbid", "pytest"]) == 1
    assert "pytest is installed" in capsys.readouterr().err
