"""A candidate that is wrong at sizes which no sample has is mended or rejected."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from variants import parse

from hwbench.data import dataset
from hwbench.targets.local import LocalTarget
from runtimes import samples
from runtimes.bundles.manifest import RuntimeSettings
from runtimes.inference.load import load
from runtimes.inference.session import Session
from runtimes.profile import HardwareProfile, QuantizationScheme
from runtimes.sample_arrays import stack
from runtimes.tensors import TensorSpec
from runtimes.verification.golden import relative_error
from toolchain.candidates.build_candidate import CandidateBuilder
from toolchain.candidates.candidate import Candidate
from toolchain.candidates.other_sizes import OtherSizes, resized_samples
from toolchain.exporters import exporter
from toolchain.models.onnx_model import open_model
from toolchain.recipes.recipe import Recipe
from toolchain.search.trial_steps import check_sizes
from toolchain.search.trials import Trial

X = TensorSpec("x", "float32", ("N", "T"))


@pytest.fixture
def sizes(tmp_path: Path) -> OtherSizes:
    """Three samples, and two of another size; the source doubles them."""
    feeds = [np.ones(shape, np.float32) for shape in [(1, 4)] * 3 + [(1, 8), (2, 8)]]
    np.savez(tmp_path / "sizes.npz", x=stack(feeds).padded, **{"x.shape": [feed.shape for feed in feeds]})
    data = dataset.read(tmp_path / "sizes.npz", [X])
    return OtherSizes(data, 3, samples.gather([{"y": 2 * feed["x"]} for feed in data.feeds()], 1))


def outputs(sizes: OtherSizes, factors: list[float]):
    return samples.gather([{"y": factor * feed["x"]} for factor, feed in zip(factors, sizes.data.feeds())], 1)


def test_an_error_that_samples_have_as_well_is_none(sizes: OtherSizes) -> None:
    assert sizes.fault(outputs(sizes, [2.0, 2.02, 2.0, 2.05, 1.95])) is None


@pytest.mark.parametrize("wrong", [2.2, np.nan, np.inf])
def test_a_larger_one_names_the_size(sizes: OtherSizes, wrong: float) -> None:
    fault = sizes.fault(outputs(sizes, [2.0, 2.01, 2.0, 2.0, wrong]))
    assert fault is not None
    assert "at x [2, 8], and by 0.005 at x [1, 4]" in fault


@pytest.mark.parametrize("names", ["ab", "ba"])
def test_no_output_hides_the_nan_of_another(sizes: OtherSizes, names: str) -> None:
    feeds = list(sizes.data.feeds())
    right = [dict.fromkeys(names, feed["x"]) for feed in feeds]
    wrong = [*right[:-1], {**right[-1], "b": np.full_like(right[-1]["b"], np.nan)}]
    both = dataclasses.replace(sizes, expected=samples.gather(right, 1))
    assert both.fault(samples.gather(right, 1)) is None
    assert "differ from the source's by inf" in str(both.fault(samples.gather(wrong, 1)))


def test_another_shape_is_a_fault(sizes: OtherSizes) -> None:
    wrong = [{"y": 2 * feed["x"][:, : 4 if index == 3 else None]} for index, feed in enumerate(sizes.data.feeds())]
    assert "differ from the source's by inf" in str(sizes.fault(samples.gather(wrong, 1)))


@pytest.mark.parametrize("others", ["float[N,T] y", ""])
def test_outputs_whose_sizes_depend_on_the_data_are_not_compared(tmp_path: Path, others: str) -> None:
    outputs = ", ".join(filter(None, ["int64[2,K] found", others]))
    onnx.save(parse(f"t (float[N,T] x) => ({outputs}) {{ found = NonZero(x) y = Relu(x) }}", {}), tmp_path / "m.onnx")
    model = open_model(tmp_path / "m.onnx")
    np.savez(tmp_path / "x.npz", x=np.ones((3, 4), np.float32))
    found = resized_samples(model, dataset.read(tmp_path / "x.npz", model.inputs), tmp_path)
    assert ([*found.expected] if found is not None else []) == (["y"] if others else [])


class Transformer(nn.Module):
    """A vision transformer of one layer, which OpenVINO's form for all shapes computes wrongly in int8 (2026.4)."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.token = nn.Conv2d(1, 16, 4, 4), nn.Parameter(torch.randn(1, 1, 16) * 0.02)
        self.into, self.out, self.head = nn.Linear(16, 48), nn.Linear(16, 16), nn.Linear(16, 10)
        self.norm = nn.LayerNorm(16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1)
        query, key, value = (
            part.view(x.shape[0], -1, 2, 8).transpose(1, 2) for part in self.into(self.norm(x)).chunk(3, -1)
        )
        seen = nn.functional.scaled_dot_product_attention(query, key, value)
        x = x + self.out(seen.transpose(1, 2).flatten(2))
        return self.head(self.norm(x[:, 0]))


def make() -> nn.Module:
    """Build the network with seeded weights."""
    torch.manual_seed(0)
    return Transformer()


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory, here: HardwareProfile) -> SimpleNamespace:
    """State of a search for `Transformer`, with samples of one size."""
    folder = tmp_path_factory.mktemp("transformer")
    spec = TensorSpec("x", "float32", ("N", 1, 8, 8))
    model = exporter("module").export(f"{__file__}:make", [spec], folder / "m.onnx")
    np.savez(folder / "samples.npz", x=np.random.default_rng(0).standard_normal((32, 1, 8, 8)).astype(np.float32))
    data = dataset.read(folder / "samples.npz", model.inputs)
    context = SimpleNamespace(
        builder=CandidateBuilder("m", model, data, folder),
        other_sizes=resized_samples(model, data, folder),
        target=LocalTarget(),
        tick=lambda done: None,
        is_source=lambda candidate: False,
    )
    return SimpleNamespace(context=context, profile=here)


@pytest.fixture(scope="module", params=["onnxruntime", "openvino"])
def unchecked(request: pytest.FixtureRequest, state: SimpleNamespace, cpu_scheme: QuantizationScheme) -> Trial:
    """An int8 candidate for each runtime, with the scheme of this processor."""
    pytest.importorskip(request.param)
    candidate = Candidate(
        Recipe("int8", "minmax", dataclasses.replace(cpu_scheme, contrib_ops=False)), request.param, RuntimeSettings(1)
    )
    built = state.context.builder.make(candidate, state.profile)
    return Trial(candidate, bundle=built.bundle, artifact=built.artifact)


@pytest.fixture(scope="module")
def checked(state: SimpleNamespace, unchecked: Trial) -> Trial:
    return check_sizes(unchecked, state.profile, state.context)


@pytest.fixture(scope="module")
def session(checked: Trial) -> Iterator[Session]:
    with load(checked.bundle, any_machine=True) as opened:
        yield opened


@given(batches=st.lists(st.integers(1, 12), min_size=1, max_size=4), seed=st.integers(0, 99))
@settings(max_examples=25)
def test_what_leaves_the_check_is_right_at_every_size_in_any_order(session, batches, seed):
    network, rng, name = make().eval(), np.random.default_rng(seed), session.outputs[0].name
    for batch in batches:
        x = rng.standard_normal((batch, 1, 8, 8)).astype(np.float32)
        together = session.run({"x": x})[name]
        alone = np.concatenate([session.run({"x": x[row : row + 1]})[name] for row in range(batch)])
        assert relative_error(together, alone) < 0.05
        assert relative_error(together, network(torch.from_numpy(x)).detach().numpy()) < 0.25  # int8's own error


def test_each_shape_is_compiled_where_the_form_for_all_is_wrong(state, unchecked, checked):
    sizes = state.context.other_sizes
    with load(unchecked.bundle, any_machine=True) as opened:
        fault = sizes.fault(samples.gather([opened.run(feeds) for feeds in sizes.data.feeds()], 1))
    assert (checked.candidate.settings.options == {"static_shapes": "each"}) == (fault is not None)
    expected = "" if fault is None else f"every shape is compiled for itself, as in a form for all {fault}"
    assert checked.remark == expected


def test_a_candidate_that_no_setting_mends_is_rejected(state, unchecked):
    """A candidate of another network stands for one that is wrong at every size but the samples'."""
    sizes = state.context.other_sizes
    outputs = {name: array[:] for name, array in sizes.expected.items()}
    name = next(iter(outputs))
    wrong = [array if index < sizes.own else array + 1 for index, array in enumerate(outputs[name])]
    context = SimpleNamespace(
        **{**vars(state.context), "other_sizes": dataclasses.replace(sizes, expected={name: stack(wrong)})}
    )
    rejected = check_sizes(unchecked, state.profile, context).rejected
    assert rejected is not None
    assert rejected.startswith("wrong at other sizes: its outputs differ from the source's by")
