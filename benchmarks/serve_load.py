"""Serving under load: latency of /v2/health/live among many, slow, half and huge clients; wrong answers; memory.

    python -m benchmarks.serve_load [SECONDS] | tee benchmarks/results/serve_load.txt

The clients, in a process of their own, and the prober share the server's cores. A probe is a new connection, every
10 ms.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import platform
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import psutil

from benchmarks.hammer import pack_layer
from hwbench.machine.identity import this_machine
from runtimes.tensors import Array

_JSON_ROWS, _RAW_ROWS, _ROWS_CHECKED = 4000, 5000, 20
_LIMITS = ("--idle-timeout", "2", "--request-timeout", "20")


def main(seconds: float) -> None:
    """Serve a small model, probe its health in quiet and under load, and print what became of it."""
    machine = this_machine()
    print(f"{machine.cpu}, {machine.cores} cores, shared with other work, Python {platform.python_version()}, ", end="")
    print(f"uvicorn {version('uvicorn')}, onnxruntime {version('onnxruntime')}; limits {' '.join(_LIMITS)}\n")
    with tempfile.TemporaryDirectory() as folder:
        bundle, weights = pack_layer(Path(folder), "N")
        command = [sys.executable, "-m", "runtimes", "serve", str(bundle), "--port", "0", *_LIMITS]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            port = next(int(m[1]) for line in process.stderr if (m := re.search(r"http://127.0.0.1:(\d+)", line)))
            try:
                _probe("quiet", port, min(5, seconds))
                _load(port, process.pid, weights, seconds)
            finally:
                process.terminate()
        print(f"SIGTERM: exit code {process.returncode}")


def _load(port: int, server: int, weights: Array, seconds: float) -> None:
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    clients = context.Process(target=_clients, args=(theirs, port, weights, seconds))
    clients.start()
    ours.recv()  # their requests are ready
    _probe("loaded, first half", port, seconds / 2)
    half = _memory(server)
    _probe("loaded, second half", port, seconds / 2 - 1)
    end = _memory(server)
    counts = ours.recv()
    clients.join()
    for what, count in sorted(counts.items()):
        print(f"{what}: {count:,}")
    for name in half:
        print(f"resident memory of the {name}: {half[name]:.0f} MiB half way, {end[name]:.0f} MiB at the end")


def _probe(name: str, port: int, seconds: float) -> None:
    taken, failed, end = [], 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/health/live", timeout=30) as response:
                response.read()
            taken.append(time.perf_counter() - start)
        except OSError:
            failed += 1
        time.sleep(0.01)
    p50, p99, top = np.percentile(taken, [50, 99, 100]) * 1e3
    print(f"/v2/health/live, {name}: {len(taken):,} probes, {failed} failed, ", end="")
    print(f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, max {top:.1f} ms", flush=True)


def _memory(server: int) -> dict[str, float]:
    process = psutil.Process(server)
    (worker,) = process.children()
    return {name: one.memory_info().rss / 2**20 for name, one in (("server", process), ("worker", worker))}


def _clients(parent: Connection, port: int, weights: Array, seconds: float) -> None:
    counts = Counter({"wrong answers": 0})
    asyncio.run(_all(parent, port, weights, seconds, counts))
    parent.send(dict(counts))


async def _all(parent: Connection, port: int, weights: Array, seconds: float, counts: Counter[str]) -> None:
    x = np.random.default_rng(1).standard_normal((_RAW_ROWS, 64)).astype(np.float32)
    expected = np.maximum(x @ weights, 0)
    few = x[:_JSON_ROWS]
    as_json = _tensor(few, {"data": few.reshape(-1).tolist()})
    raw_head = _tensor(x, {"parameters": {"binary_data_size": x.nbytes}})
    digits = _tensor(x[:0], {"data": []}).replace(b"[0, 64]", b"[" + b",".join([b"9" * 4000] * 250) + b"]")
    parent.send("ready")
    end = time.monotonic() + seconds
    kinds = [
        *[("many, JSON of %.1f MB" % (len(as_json) / 1e6), _post(as_json), True)] * 12,
        *[("many, raw bytes of %.1f MB" % (x.nbytes / 1e6), _post(raw_head + x.tobytes(), len(raw_head)), True)] * 12,
        *[("huge, sizes of 4,000 digits", _post(digits), True)] * 4,
        *[("huge, JSON of 20 MB", _post(b" " * 20_000_000), True)] * 2,
        *[("half, headers", b"POST /v2/models/layer-N/in", False)] * 150,
        *[("half, bodies", _post(as_json)[:1000], False)] * 4,
    ]
    await asyncio.gather(
        *(_client(port, *kind, expected, end, counts) for kind in kinds), _slow(port, as_json, end, counts)
    )


async def _client(
    port: int, name: str, request: bytes, is_whole: bool, expected: Array, end: float, counts: Counter[str]
) -> None:
    while time.monotonic() < end:
        status, tail = await _ask(port, request)
        counts[f"{name}: {status or 'closed by the server'}"] += 1
        if status == 200 and not _is_right(tail, expected):
            counts["wrong answers"] += 1
        if not is_whole or status != 200:
            await asyncio.sleep(0.05)


async def _ask(port: int, request: bytes) -> tuple[int, bytes]:
    writer = None
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        body = await reader.readexactly(int(length[1])) if length else b""
        return int(head.split()[1]), body
    except (OSError, EOFError, asyncio.IncompleteReadError):
        return 0, b""
    finally:
        if writer is not None:
            writer.transport.abort()


async def _slow(port: int, body: bytes, end: float, counts: Counter[str]) -> None:
    """Send 1 kB of a body every second: in time for the limit of silence, but not for that of a request."""
    while time.monotonic() < end:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        request = _post(body)
        for start in range(0, len(request), 1000):
            writer.write(request[start : start + 1000])
            try:
                head = await asyncio.wait_for(reader.readline(), 1)
                counts[f"slow, 1 kB a second: {head.split()[1].decode() if head else 'closed by the server'}"] += 1
                break
            except (asyncio.TimeoutError, OSError):
                if time.monotonic() > end:
                    break
        writer.transport.abort()


def _is_right(body: bytes, expected: Array) -> bool:
    outputs = json.loads(body)["outputs"][0]
    rows = outputs["shape"][0]
    y = np.reshape(outputs["data"], (rows, 32))[:: max(1, rows // _ROWS_CHECKED)]
    return np.allclose(y, expected[:rows][:: max(1, rows // _ROWS_CHECKED)], rtol=1e-4, atol=1e-5)


def _tensor(x: Array, data: dict[str, object]) -> bytes:
    return json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": list(x.shape), **data}]}).encode()


def _post(body: bytes, json_bytes: int | None = None) -> bytes:
    extra = "" if json_bytes is None else f"Inference-Header-Content-Length: {json_bytes}\r\n"
    return (
        f"POST /v2/models/layer-N/infer HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n{extra}\r\n".encode()
        + body
    )


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 60)
