"""A folder as a registry, and packages that are missing or broken."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from runtimes import plugins
from runtimes.errors import NotInstalledError, UsageError

PLUGINS = {
    "works.py": "VALUE = 3",
    "two_words.py": "",
    "_helper.py": "",
    "lacks_extra.py": "import jinja2.nothing_of_that_name",
    "lacks_meter.py": "import pynvml",
    "lacks_other.py": "import no_such_package.inner",
    "broken_package.py": "raise ImportError('numpy.core.multiarray failed to import')",
    "our_mistake.py": "import runtimes.no_such_module",
    "our_other_mistake.py": "from runtimes.errors import NoSuchError",
}


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package with the plug-ins above."""
    name = "shelf_of_plugins"
    folder = tmp_path / name
    folder.mkdir()
    for file, text in {"__init__.py": "", **PLUGINS}.items():
        (folder / file).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    for module in [module for module in sys.modules if module.partition(".")[0] == name]:
        monkeypatch.delitem(sys.modules, module)
    return name


def test_names_are_the_files_with_hyphens_in_alphabetical_order(shelf: str) -> None:
    assert plugins.names(shelf) == (
        "broken-package",
        "lacks-extra",
        "lacks-meter",
        "lacks-other",
        "our-mistake",
        "our-other-mistake",
        "two-words",
        "works",
    )


def test_loading_gives_the_module(shelf: str) -> None:
    assert plugins.load(shelf, "works", "thing").VALUE == 3
    assert plugins.load(shelf, "two-words", "thing").__name__ == f"{shelf}.two_words"


@pytest.mark.parametrize("name", ["wroks", "_helper", "two_words", "", "..works", "os.path"])
def test_an_unknown_name_is_told_the_known_ones(shelf: str, name: str) -> None:
    with pytest.raises(UsageError) as error:
        plugins.load(shelf, name, "thing")
    assert str(error.value).startswith(f"Unknown thing '{name}'; choose from broken-package, ")


def test_a_missing_package_of_an_extra_is_told_the_line_that_installs_it(
    shelf: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(NotInstalledError) as error:
        plugins.load(shelf, "lacks-extra", "thing")
    assert str(error.value) == (
        "The thing 'lacks-extra' needs the package 'jinja2'; install it with: pip install 'edgewright[toolchain]'"
    )


def test_a_package_that_pip_knows_by_another_name_is_named_by_that(shelf: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with pytest.raises(NotInstalledError, match=r"needs the package 'pynvml'; .*pip install nvidia-ml-py$"):
        plugins.load(shelf, "lacks-meter", "thing")


def test_any_other_missing_package_is_named(shelf: str) -> None:
    with pytest.raises(NotInstalledError, match=r"needs the package 'no_such_package'; .*pip install no_such_package$"):
        plugins.load(shelf, "lacks-other", "thing")


def test_a_package_that_is_there_but_broken_is_not_called_missing(shelf: str) -> None:
    with pytest.raises(NotInstalledError, match=r"cannot be imported: numpy.core.multiarray failed to import$"):
        plugins.load(shelf, "broken-package", "thing")


@pytest.mark.parametrize("name", ["our-mistake", "our-other-mistake"])
def test_our_own_mistakes_keep_their_traceback(shelf: str, name: str) -> None:
    with pytest.raises(ImportError, match=r"no_such_module|NoSuchError"):
        plugins.load(shelf, name, "thing")


def test_the_extras_that_messages_name_exist() -> None:
    pyproject = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    for extra in set(plugins._EXTRAS.values()):
        assert f"\n{extra} = [" in pyproject


def test_the_backends_are_a_shelf() -> None:
    assert {"null", "onnxruntime"} <= set(plugins.names("runtimes.backends"))
