"""`python -m runtimes serve`, asked by Triton's own client over a real socket, and the protocol's bytes."""

from __future__ import annotations

import contextlib
import json
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from served import served

from runtimes.errors import UsageError
from runtimes.serving import open_inference_protocol
from runtimes.tensors import Array, TensorSpec

http = pytest.importorskip("tritonclient.http", reason="tritonclient[http] is not installed")
pytest.importorskip("starlette", reason="the extra `serve` is not installed")

EMPTY = '{"name": "x", "shape": [0], "datatype": "FP32", "data": []}'
INPUTS = (TensorSpec("x", "float32", ("N",)), TensorSpec("y", "float32", ("N",)))
OUTPUTS = (TensorSpec("y", "float32", ("N",)), TensorSpec("z", "float32", ("N",)))


@pytest.fixture(scope="module")
def address(bundle: Path) -> Iterator[str]:
    """A server in a process of its own, on this machine and a free port."""
    with served(bundle) as server:
        yield f"127.0.0.1:{server.port}"
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(timeout=30) == 0


@pytest.fixture
def client(address: str) -> Iterator[Any]:
    client = http.InferenceServerClient(address)
    yield client
    client.close()


def get(address: str, path: str) -> str:
    with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as response:
        return str(response.read().decode())


def test_the_client_finds_the_model(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("tiny")
    assert not client.is_model_ready("other")
    assert client.get_server_metadata()["name"] == "edgewright"
    metadata = client.get_model_metadata("tiny")
    assert metadata["inputs"] == [{"name": "image", "datatype": "FP32", "shape": [-1, 3, 8, 8]}]
    assert metadata["outputs"] == [{"name": "scores", "datatype": "FP32", "shape": [-1, 5]}]


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False, None])
def test_the_client_infers(client: Any, images: Array, contents: Any, binary_in: bool, binary_out: bool | None) -> None:
    tensor = http.InferInput("image", list(images.shape), "FP32")
    tensor.set_data_from_numpy(images, binary_data=binary_in)
    outputs = None if binary_out is None else [http.InferRequestedOutput("scores", binary_data=binary_out)]
    result = client.infer("tiny", [tensor], outputs=outputs, request_id="seven")
    np.testing.assert_allclose(result.as_numpy("scores"), contents.golden_outputs["scores"], rtol=1e-4, atol=1e-5)
    assert result.get_response()["id"] == "seven"


def test_what_does_not_fit_is_told_to_the_client(client: Any, address: str) -> None:
    tensor = http.InferInput("image", [1, 2, 8, 8], "FP32")
    tensor.set_data_from_numpy(np.zeros((1, 2, 8, 8), np.float32))
    with pytest.raises(Exception, match=r"Input 'image' has shape \[1, 2, 8, 8\]; expected \[N, 3, 8, 8\]"):
        client.infer("tiny", [tensor])
    with pytest.raises(Exception, match="There is nothing at this path; the model here is /v2/models/tiny"):
        client.infer("other", [tensor])
    request = urllib.request.Request(f"http://{address}/v2/models/tiny/infer", b"{", method="POST")
    with pytest.raises(urllib.error.HTTPError, match="400") as error:
        urllib.request.urlopen(request, timeout=10)
    assert json.loads(error.value.read())["error"].startswith("The request is not JSON")


def test_metrics_are_what_prometheus_reads(address: str, client: Any, images: Array) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    tensor = http.InferInput("image", list(images.shape), "FP32")
    tensor.set_data_from_numpy(images)
    client.infer("tiny", [tensor])
    families = {family.name: family for family in text_string_to_metric_families(get(address, "/metrics"))}
    calls = families["edgewright_calls"].samples[0]
    assert calls.labels == {"model": "tiny"}
    assert calls.value >= 1
    latency = {(s.name, s.labels.get("le")): s.value for s in families["edgewright_latency_seconds"].samples}
    errors = families["edgewright_errors"].samples[0].value
    assert latency["edgewright_latency_seconds_count", None] == calls.value - errors
    assert latency["edgewright_latency_seconds_bucket", "+Inf"] == calls.value - errors
    counts = [value for (name, _), value in latency.items() if name.endswith("_bucket")]
    assert counts == sorted(counts)
    saturated = {s.labels["tensor"]: s.value for s in families["edgewright_saturated_ratio"].samples}
    assert set(saturated) == {"image", "scores"}
    assert not families["edgewright_population_stability_index"].samples  # so few calls say nothing


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("[]", "no list `inputs`"),
        ('{"inputs": [1]}', "no list `inputs`"),
        ('{"inputs": [{"name": "x"}]}', "Input 'x' has no `shape`"),
        ('{"inputs": [{"name": "x", "shape": [-1]}]}', "no `shape`"),
        ('{"inputs": [{"name": "x", "shape": [1], "datatype": "BYTES"}]}', "'BYTES'; choose from BOOL, INT8"),
        ('{"inputs": [{"name": "x", "shape": [2], "datatype": "FP32", "data": [1]}]}', "holds no `data`"),
        ('{"inputs": [{"name": "x", "shape": [1], "datatype": "INT8", "data": [300]}]}', "do not fit"),
        ('{"inputs": [{"name": "x", "shape": [1], "datatype": "INT8", "data": [1.5]}]}', "float"),
        ('{"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": ["1"]}]}', "str"),
        ('{"inputs": [{"name": "x", "shape": [2], "datatype": "FP32", "parameters": {"binary_data_size": 8}}]}', "8 b"),
        ('{"inputs": [], "outputs": [{"name": "q"}]}', "There is no output 'q'; the model has y, z"),
        ('{"inputs": [], "outputs": 3}', "should be a list"),
        (f'{{"inputs": [{EMPTY}, {EMPTY}]}}', "two inputs named 'x'"),
        ('{"inputs": [{"name": "w"}]}', "There is no input 'w'; the model has x, y"),
        ('{"inputs": [{"name": ["x"]}]}', "There is no input"),
        ('{"inputs": [], "id": [1]}', "`id` is no text"),
        ('{"inputs": [], "outputs": [{"name": "y"}, {"name": "y"}]}', "asks for the output 'y' twice"),
    ],
)
def test_requests_that_are_none(body: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        open_inference_protocol.parse(body.encode(), None, INPUTS, OUTPUTS)


def test_bytes_behind_the_tensors_are_refused() -> None:
    head = b'{"inputs": []}'
    with pytest.raises(UsageError, match="has 3 bytes behind its tensors"):
        open_inference_protocol.parse(head + b"abc", len(head), INPUTS, OUTPUTS)


def test_json_that_is_said_to_be_longer_than_the_request() -> None:
    with pytest.raises(UsageError, match="has 14 bytes, fewer than its header declares"):
        open_inference_protocol.parse(b'{"inputs": []}', 15, INPUTS, OUTPUTS)


@pytest.mark.parametrize(
    ("shape", "size"), [([1] * 100, 4), ([0, 2**70], 0), ([0, 2**62, 2**62], 0), ([10**4000] * 900, 0)]
)
def test_raw_tensors_of_shapes_that_no_array_has(shape: list[int], size: int) -> None:
    tensor = {"name": "x", "datatype": "FP32", "shape": shape, "parameters": {"binary_data_size": size}}
    head = json.dumps({"inputs": [tensor]}).encode()
    with pytest.raises(UsageError, match="has a `shape` that no array has"):
        open_inference_protocol.parse(head + bytes(size), len(head), INPUTS, OUTPUTS)


def test_outputs_that_are_too_large_for_json() -> None:
    outputs = {"y": np.zeros((10, 100), np.float32)}
    as_json, raw = (open_inference_protocol.Request({}, None, (("y", binary),)) for binary in (False, True))
    with pytest.raises(UsageError, match=r"Output 'y' of shape \[10, 100\] is too large for JSON; ask for raw bytes"):
        open_inference_protocol.answer(as_json, outputs, "m", 10_000)
    content, json_bytes = open_inference_protocol.answer(raw, outputs, "m", 10_000)
    assert len(content) - (json_bytes or 0) == 4000


@given(st.binary(max_size=200) | st.text().map(str.encode), st.none() | st.integers(0, 300))
def test_any_bytes_are_a_request_or_refused(body: bytes, json_bytes: int | None) -> None:
    with contextlib.suppress(UsageError):
        open_inference_protocol.parse(body, json_bytes, INPUTS, OUTPUTS)


@given(st.sampled_from(["float32", "int8", "uint64", "bool", "float16"]), st.booleans(), st.integers(0, 5))
def test_arrays_survive_the_way_there_and_back(dtype: str, binary: bool, n: int) -> None:
    array = np.arange(n).astype(dtype)
    request = open_inference_protocol.Request({}, None, (("y", binary),))
    content, json_bytes = open_inference_protocol.answer(request, {"y": array}, "m", 1 << 20)
    head = json.loads(content[:json_bytes])
    there = json.dumps({"inputs": head["outputs"]}).encode()
    body = there + (content[json_bytes:] if json_bytes is not None else b"")
    read = open_inference_protocol.parse(body, len(there) if binary else None, INPUTS, OUTPUTS).feeds["y"]
    assert read.dtype == array.dtype
    np.testing.assert_array_equal(read, array)
