"""Servers in processes of their own, a model that can be asked for much, and what clients send, byte by byte."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper, parser

from runtimes.bundles.manifest import RuntimeSettings
from runtimes.profile import HardwareProfile
from runtimes.tensors import Array
from toolchain.builders import onnxruntime as builder
from toolchain.models.onnx_model import open_model
from toolchain.packaging.pack import Contents, pack
from toolchain.recipes.recipe import Recipe

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Server:
    """A server that runs."""

    process: subprocess.Popen[str]
    port: int

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def ask(self, request: bytes) -> tuple[int, bytes]:
        """Send one request; return the status and the body of its answer."""
        with self.connect() as connection:
            connection.sendall(request)
            return answer_of(connection)


@contextlib.contextmanager
def served(bundle: Path, *options: str) -> Iterator[Server]:
    """Serve a bundle on a free port of this machine, and end the server however it fares."""
    command = [sys.executable, "-m", "runtimes", "serve", str(bundle), "--port", "0", *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stderr is not None
            found = (re.search(r"http://127.0.0.1:(\d+)", line) for line in process.stderr)
            port = next((match for match in found if match), None)
            assert port is not None, "it did not start"
            yield Server(process, int(port[1]))
        finally:
            process.kill()


def answer_of(connection: socket.socket) -> tuple[int, bytes]:
    """Read one answer; the status is 0 if the server closed the connection instead."""
    with connection.makefile("rb") as stream:
        status = stream.readline().split()
        if not status:
            return 0, b""
        headers = dict(line.lower().strip().split(b": ", 1) for line in iter(stream.readline, b"\r\n"))
        return int(status[1]), stream.read(int(headers[b"content-length"]))


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: here\r\n\r\n".encode()


def post(name: str, body: bytes, length: int | None = None) -> bytes:
    """A request for an inference, whose Content-Length may say something else than is true."""
    size = len(body) if length is None else length
    return f"POST /v2/models/{name}/infer HTTP/1.1\r\nHost: here\r\nContent-Length: {size}\r\n\r\n".encode() + body


def as_json(**arrays: Array) -> bytes:
    """The body of a request whose tensors are JSON."""
    datatypes = {"float32": "FP32", "int64": "INT64"}
    inputs = [
        {"name": name, "shape": list(a.shape), "datatype": datatypes[a.dtype.name], "data": a.reshape(-1).tolist()}
        for name, a in arrays.items()
    ]
    return json.dumps({"inputs": inputs}).encode()


def demanding_bundle(folder: Path, profile: HardwareProfile) -> Path:
    """An LSTM over x float32[S,N,7], at which ONNX Runtime dies if N is 0, and `rounds` of a loop, as many as asked."""
    text = """
    <ir_version: 8, opset_import: ["" : 17]>
    demanding (float[S,N,7] x, int64[1] rounds) => (float[S,1,N,4] y, float[1] count) {
        y = LSTM<hidden_size=4>(x, w, r)
        scalar = Squeeze(rounds)
        count = Loop(scalar, yes, zero) <
            body = once (int64 index, bool go, float[1] before) => (bool on, float[1] after)
            { on = Identity(go) after = Add(before, one) }
        >
    }"""
    rng = np.random.default_rng(0)
    constants: dict[str, Array] = {
        "w": rng.standard_normal((1, 16, 7)).astype(np.float32),
        "r": rng.standard_normal((1, 16, 4)).astype(np.float32),
        "yes": np.array(True),
        "zero": np.zeros(1, np.float32),
        "one": np.ones(1, np.float32),
    }
    model = parser.parse_model(text)
    model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in constants.items())
    onnx.save(model, folder / "demanding.onnx")
    artifact = builder.build(open_model(folder / "demanding.onnx"), Recipe("fp32"), RuntimeSettings(1), folder)
    path = folder / "demanding.edge"
    pack(Contents("demanding", profile, artifact, Recipe("fp32"), {}, {}), path)
    return path
