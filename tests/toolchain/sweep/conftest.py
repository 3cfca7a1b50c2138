"""A small build that cells are made of, and reports as cells leave them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from hwbench.results import profile_results
from hwbench.results.profile_results import CandidateResult, ProfileResult
from toolchain.pipeline.request import BuildRequest


@pytest.fixture
def request_of(tiny_onnx, here, tmp_path):
    """Makes builds of the tiny model, with fields in place of the defaults."""

    def make(**fields: object) -> BuildRequest:
        base = BuildRequest(str(tiny_onnx), "tiny", tmp_path, (here,), precisions=("fp32", "fp16"))
        return dataclasses.replace(base, **fields)

    return make


@pytest.fixture
def empty_report(here):
    """Writes the report of a build that made one candidate, and measured nothing."""

    def write(file: Path) -> Path:
        candidate = CandidateResult("fp32", "fp32", "onnxruntime", "not built", "it was not asked for")
        result = ProfileResult("tiny", here.name, (), (candidate,))
        file.write_text(profile_results.to_json(profile_results.of([result])))
        return file

    return write
