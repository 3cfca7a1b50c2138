"""A user's file finds its neighbours, and takes no package's place."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hwbench import metrics
from hwbench.data import user_code
from runtimes.errors import UsageError


@pytest.fixture(autouse=True)
def _modules_as_before() -> Iterator[None]:
    before, path = dict(sys.modules), list(sys.path)
    finders = list(sys.meta_path)
    yield
    assert (sys.path, sys.meta_path) == (path, finders)
    for name in set(sys.modules) - set(before):
        del sys.modules[name]


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", ["numpy", "hwbench", "json", "wave"])
def test_a_file_named_like_a_package_does_not_replace_it(tmp_path, name):
    before = sys.modules.get(name)
    module = user_code.load(write(tmp_path / f"{name}.py", f"import {name} as real"))
    assert module is not module.real
    assert sys.modules[name] is module.real
    assert before in (None, module.real)
    assert not str(module.real.__file__).startswith(str(tmp_path))


def test_files_and_packages_beside_it_are_found(tmp_path):
    write(tmp_path / "blocks.py", "size = 3")
    write(tmp_path / "parts" / "__init__.py", "")
    write(tmp_path / "parts" / "small.py", "size = 4")
    write(tmp_path / "bare" / "large.py", "size = 5")
    text = "from blocks import size as a\nfrom parts.small import size as b\nfrom bare.large import size as c"
    module = user_code.load(write(tmp_path / "net.py", text))
    assert (module.a, module.b, module.c) == (3, 4, 5)


def test_two_folders_have_their_own_utils(tmp_path):
    for folder in ("one", "two"):
        write(tmp_path / folder / "its_utils" / "__init__.py", "from its_utils.deeper import where")
        write(tmp_path / folder / "its_utils" / "deeper.py", f"where = '{folder}'")
        write(tmp_path / folder / "net.py", "from its_utils import where")
    one, two = (user_code.load(tmp_path / folder / "net.py") for folder in ("one", "two"))
    assert (one.where, two.where) == ("one", "two")
    assert one.__name__ != two.__name__


def test_a_file_that_fails_leaves_nothing(tmp_path):
    before = set(sys.modules)
    words = r"net\.py' cannot be imported: ValueError: no good, at .*/net\.py:1 \(`raise Val"
    with pytest.raises(UsageError, match=words):
        user_code.load(write(tmp_path / "net.py", "raise ValueError('no\\n good')"))
    assert set(sys.modules) == before


def test_a_metric_may_import_its_neighbours_when_it_is_called(tmp_path):
    write(tmp_path / "weighting.py", "weight = 2")
    file = write(
        tmp_path / "weighted.py", "def score(outputs, labels):\n    from weighting import weight\n    return weight"
    )
    assert metrics.load(f"{file}:score").score({"y": np.zeros(1)}, np.zeros(1)) == 2


def test_an_error_names_the_innermost_line_of_the_users_own_files(tmp_path):
    write(tmp_path / "scaling.py", "def scaled(x):\n    return x / 0")
    file = write(
        tmp_path / "mine.py",
        "import json\nimport scaling\n\ndef beside(o, y):\n    return scaling.scaled(1)\n\n"
        "def library(o, y):\n\n    return json.loads('{')",
    )
    for name, told in [
        ("beside", r"failed: ZeroDivisionError: division by zero, at .*/scaling\.py:2 \(`return x / 0`\)$"),
        ("library", r"failed: JSONDecodeError: .*, at .*/mine\.py:9 \(`return json"),
    ]:
        with pytest.raises(UsageError, match=f"Metric '{name}' {told}"):
            metrics.load(f"{file}:{name}").score({}, np.zeros(1))


def test_a_syntax_error_names_its_line(tmp_path):
    write(tmp_path / "broken.py", "x = 1\ndef f(:")
    file = write(tmp_path / "mine.py", "import broken")
    for path in (tmp_path / "broken.py", file):
        with pytest.raises(UsageError, match=r"SyntaxError: invalid syntax, at .*/broken\.py:2 \(`def f\(:`\)$"):
            user_code.load(path)
