"""A candidate that is wrong at sizes which no sample has is mended or rejected."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from hwbench.data import dataset
from hwbench.targets.local import LocalTarget
from runtimes import samples
from runtimes.bundles.manifest import RuntimeSettings
from runtimes.inference.load import load
from runtimes.profile import QuantizationScheme
from runtimes.sample_arrays import stack
from runtimes.tensors import TensorSpec
from runtimes.verification.golden import relative_error
from toolchain.candidates.build_candidate import CandidateBuilder
from toolchain.candidates.candidate import Candidate
from toolchain.candidates.other_sizes import OtherSizes, resized_samples
from toolchain.exporters import exporter
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


def test_another_shape_is_a_fault(sizes: OtherSizes) -> None:
    wrong = [{"y": 2 * feed["x"][:, : 4 if index == 3 else None]} for index, feed in enumerate(sizes.data.feeds())]
    assert "differ from the source's by inf" in str(sizes.fault(samples.gather(wrong, 1)))


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
def state(tmp_path_factory: pytest.TempPathFactory, here):  # type: ignore[no-untyped-def]
    """State of a search for `Transformer`, with samples of one size."""
    folder = tmp_path_factory.mktemp("transformer")
    spec = TensorSpec("x", "float32", ("N", 1, 8, 8))
    model = exporter("module").export(f"{__file__}:make", [spec], folder / "m.onnx")
    np.savez(folder / "samples.npz", x=np.random.default_rng(0).standard_normal((32, 1, 8, 8)).astype(np.float32))
    data = dataset.read(folder / "samples.npz", model.inputs)
    builder = CandidateBuilder("m", model, data, folder)
    context = SimpleNamespace(
        builder=builder,
        other_sizes=resized_samples(model, data, folder),
        target=LocalTarget(),
        tick=lambda done: None,
    )
    return SimpleNamespace(context=context, profile=here)


def made(state, runtime: str) -> Trial:  # type: ignore[no-untyped-def]
    recipe = Recipe("int8", "minmax", QuantizationScheme("int8"))
    candidate = Candidate(recipe, runtime, RuntimeSettings(1))
    built = state.context.builder.make(candidate, state.profile)
    return Trial(candidate, bundle=built.bundle, artifact=built.artifact)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_what_leaves_the_check_is_right_at_every_size(state, runtime: str) -> None:  # type: ignore[no-untyped-def]
    pytest.importorskip(runtime)
    checked = check_sizes(made(state, runtime), state.profile, state.context)
    assert checked.is_running
    network, rng = make().eval(), np.random.default_rng(1)
    with load(checked.bundle, any_machine=True) as session:
        for batch in (1, 2, 1, 5, 3):
            x = rng.standard_normal((batch, 1, 8, 8)).astype(np.float32)
            expected = network(torch.from_numpy(x)).detach().numpy()
            assert relative_error(session.run({"x": x})[session.outputs[0].name], expected) < 0.1


def test_openvino_compiles_each_shape_where_its_general_form_is_wrong(state) -> None:  # type: ignore[no-untyped-def]
    pytest.importorskip("openvino")
    unchecked, sizes = made(state, "openvino"), state.context.other_sizes
    checked = check_sizes(unchecked, state.profile, state.context)
    with load(unchecked.bundle, any_machine=True) as session:
        fault = sizes.fault(samples.gather([session.run(feeds) for feeds in sizes.data.feeds()], 1))
    assert (checked.candidate.settings.options == {"static_shapes": "each"}) == (fault is not None)
    expected = "" if fault is None else f"every shape is compiled for itself, as in a form for all {fault}"
    assert checked.remark == expected
