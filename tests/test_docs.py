"""The documents name what the code has, and lead somewhere."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import click
import numpy as np
import pytest
import yaml
from documents import DOCUMENTS, PAGES, ROOT, blocks, prose

import runtimes
from hwbench import metrics
from hwbench.budgets.budget import Budget
from hwbench.budgets.samples_needed import SamplesNeeded
from hwbench.budgets.verdicts import Verdict
from hwbench.forecasts.forecast import Forecast
from hwbench.forecasts.held_out_error import HeldOutError
from hwbench.machine import device_profiles
from hwbench.machine.gpu_timing import GpuState, GpuTimes
from hwbench.machine.identity import Machine
from hwbench.measurements.accuracy import Accuracy
from hwbench.measurements.latency import Latency, Load
from hwbench.measurements.memory_bandwidth import Bandwidth
from hwbench.measurements.peaks import Peaks
from hwbench.measurements.report import Report
from hwbench.results.profile_results import CandidateResult, ProfileResult, Results, Screening, Search
from hwbench.results.unsettled import Unsettled
from hwbench.stats.paired_proportions import Flips
from runtimes.bundles.manifest import Artifact
from runtimes.bundles.work import KernelWork, Work
from runtimes.sampling.closed_loop import Block
from runtimes.sampling.system_conditions import Conditions
from toolchain import cli

TYPES = (
    *(Results, ProfileResult, CandidateResult, Screening, Search, Verdict, Budget, Unsettled, SamplesNeeded, Flips),
    *(
        Report,
        Artifact,
        Work,
        KernelWork,
        Forecast,
        HeldOutError,
        Machine,
        Peaks,
        Bandwidth,
        Latency,
        Load,
        Block,
        Conditions,
        Accuracy,
        GpuTimes,
        GpuState,
    ),
)
if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PACKAGES = ("profiles", "runtimes", "hwbench", "toolchain")


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def reference(generate: ModuleType) -> dict[str, str]:
    return generate.pages()


@pytest.fixture(scope="module")
def commands() -> dict[str, click.Command]:
    context = click.Context(cli.edgewright)
    return {name: cli.edgewright.get_command(context, name) for name in cli.edgewright.list_commands(context)}


def options(command: click.Command) -> set[str]:
    """The options of a command and of those below it."""
    inner = command.commands.values() if isinstance(command, click.Group) else ()
    own = {flag for parameter in command.params for flag in parameter.opts if flag.startswith("--")} | {"--help"}
    return own.union(*map(options, inner))


@pytest.mark.parametrize("cls", TYPES, ids=lambda cls: cls.__name__)
def test_the_schema_of_report_json_is_documented(cls: type) -> None:
    named = set(re.findall(r"`(\w+)`", (ROOT / "docs/report.md").read_text()))
    assert {field.name for field in dataclasses.fields(cls)} <= named


def test_links_and_pictures_lead_somewhere(reference: dict[str, str]) -> None:
    generated = {ROOT / "docs" / path: text for path, text in reference.items()}
    for document in DOCUMENTS:
        for target, anchor in re.findall(r"\]\((?!https?://)([^)#]*)#?([^)]*)\)", prose(document)):
            linked = (document.parent / target).resolve() if target else document
            assert linked in generated or linked.is_file(), f"{document} links to {target}"
            if anchor:
                text = generated[linked] if linked in generated else linked.read_text()
                assert anchor in anchors(text), f"{document} links to {target}#{anchor}"


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def test_pages_are_markdown_that_the_site_can_show() -> None:
    """mkdocs' Markdown takes an indented fence for prose, and a list or table right below a sentence, too."""
    for page in PAGES:
        assert not re.search(r"^ +```", page.read_text(), re.MULTILINE), page
        assert not re.search(r"^(?![-| #]|$).*\n(- |\|)", prose(page), re.MULTILINE), page


def test_pages_link_to_pages_alone() -> None:
    """A site of the pages holds nothing that lies outside of docs/."""
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?://)([^)#]+)", prose(page)):
            assert (page.parent / target).resolve().is_relative_to(ROOT / "docs"), f"{page} links to {target}"


def test_every_page_is_in_the_site_and_on_its_first_page(reference: dict[str, str]) -> None:
    pages = {str(page.relative_to(ROOT / "docs")) for page in PAGES} | set(reference)
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]
    sections = [[entry] if isinstance(entry, str) else next(iter(entry.values())) for entry in nav]
    listed = [page for section in sections for page in section]
    assert sorted(listed) == sorted(pages)
    assert pages - {"index.md"} == set(re.findall(r"\]\(([^)]+)\)", (ROOT / "docs/index.md").read_text()))


def test_the_map_shows_every_folder_and_no_other() -> None:
    """The map is architecture.md's first block: a tree, two spaces a level."""
    shown, parents = set(), []
    for line in blocks(ROOT / "docs/architecture.md")[0].text.splitlines():
        indent, name = re.match(r"( *)(\w+)/  +\S", line).groups()
        parents = [*parents[: len(indent) // 2], name]
        shown.add("/".join(parents))
    folders = {path for package in PACKAGES for path in (ROOT / package, *(ROOT / package).rglob("*")) if path.is_dir()}
    assert shown == {str(path.relative_to(ROOT)) for path in folders if path.name != "__pycache__"}


@pytest.mark.parametrize(
    ("document", "lines"), [("README.md", 107), ("docs/limits.md", 60), ("docs/architecture.md", 150)]
)
def test_what_is_to_be_short_is_short(document: str, lines: int) -> None:
    assert len((ROOT / document).read_text().splitlines()) <= lines


def test_the_reference_has_every_command_option_and_name(
    reference: dict[str, str], commands: dict[str, click.Command]
) -> None:
    sections = dict(re.findall(r"^## edgewright (\w+)\n(.*?)(?=^## )", reference["reference/cli.md"], re.M | re.S))
    assert set(sections) == set(commands)
    for name, command in commands.items():
        assert options(command) - {"--help"} <= set(re.findall(r"--[\w-]+", sections[name])), name
    for name in ("verify", "compile", "run", "serve"):
        assert f"### python -m runtimes {name}\n" in reference["reference/cli.md"]
    headings = re.findall(r"^## (\w+)$", reference["reference/python.md"], re.MULTILINE)
    assert headings == runtimes.__all__


def test_the_options_that_documents_name_exist(commands: dict[str, click.Command]) -> None:
    for document in DOCUMENTS:
        shown = [command for block in blocks(document) for command in block.commands]
        shown += re.findall(r"`(edgewright [^`]+)`", prose(document))
        for line in shown:
            found = re.match(r"edgewright (\w+)", line)
            if found and found[1] != "COMMAND":
                assert found[1] in commands, f"{document}: {line}"
                assert set(re.findall(r"--[a-z][\w-]*", line)) <= options(commands[found[1]]), f"{document}: {line}"


def test_the_modules_that_documents_name_exist() -> None:
    for document in DOCUMENTS[:2] + PAGES:
        for path in re.findall(rf"`((?:{'|'.join(PACKAGES)}|docs|tests|benchmarks)/[\w/.-]+)`", document.read_text()):
            assert (ROOT / path).exists(), f"{document} names {path}"


def test_the_how_to_s_metric_scores(tmp_path: Path) -> None:
    (block,) = (block for block in blocks(ROOT / "docs/how-to/own-metric.md") if block.file == "metrics.py")
    (tmp_path / "metrics.py").write_text(block.text)
    score = metrics.load(f"{tmp_path}/metrics.py:within_one").score
    assert score({"scores": np.eye(5)}, np.array([0, 2, 2, 0, 1])).tolist() == [True, True, True, False, False]


def test_toml_blocks_are_profiles_and_configuration_files(commands: dict[str, click.Command], tmp_path: Path) -> None:
    keys = {option.removeprefix("--") for option in options(commands["build"])} | {"source"}
    profile = next(b.text for b in blocks(ROOT / "docs/how-to/device-profile.md") if b.language == "toml")
    (tmp_path / "my-box.toml").write_text(profile)
    assert device_profiles.load(str(tmp_path / "my-box.toml")).threads == 2
    for page in ("tutorials/package-a-model.md", "how-to/configuration-file.md"):
        (text,) = (block.text for block in blocks(ROOT / "docs" / page) if block.language == "toml")
        assert set(tomllib.loads(text)) <= keys
