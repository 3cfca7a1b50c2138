"""Serving for ten minutes under `wrk` and slow clients: every answer compared, and the memory's trend.

    python -m benchmarks.serve_wrk [SECONDS] | tee benchmarks/results/serve_wrk.txt

One thread of wrk (Debian's package) holds four connections, each of which asks when it has its answer; a Lua script
compares each body with one that NumPy confirmed. Beside it, two clients send 1 kB of
a body every second, and twenty leave their headers half sent. Trends are least-squares slopes over the second half.
"""

from __future__ import annotations

import asyncio
import json
import platform
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import numpy as np
import psutil

from benchmarks.hammer import pack_layer
from benchmarks.serve_load import _ask, _post, _slow, _tensor
from hwbench.machine.identity import this_machine

_LIMITS = ("--idle-timeout", "2", "--request-timeout", "20")
_EVERY_S = 5.0
_SCRIPT = """
wrk.method, wrk.path, wrk.body = "POST", "/v2/models/layer-N/infer", %(request)s
local expected, wrong, refused = %(expected)s, 0, 0
function response(status, headers, body)
  if status ~= 200 then refused = refused + 1
  elseif body ~= expected then wrong = wrong + 1 end
  report = wrong .. " wrong answers, " .. refused .. " other than 200"
end
local first
function setup(thread) first = thread end
function done(summary, latency)
  local p50, p99, max, e = latency:percentile(50), latency:percentile(99), latency.max, summary.errors
  print(string.format("%%d requests, %%s, p50 %%.1f ms, p99 %%.1f ms, max %%.1f ms",
    summary.requests, first:get("report"), p50 / 1e3, p99 / 1e3, max / 1e3))
  print(string.format("errors: connect %%d, read %%d, write %%d, timeout %%d", e.connect, e.read, e.write, e.timeout))
end
"""


def main(seconds: float) -> None:
    """Serve a small model, load it, and print what became of it."""
    machine = this_machine()
    print(f"{machine.cpu}, {machine.cores} cores, shared with other work, Python {platform.python_version()}, ", end="")
    print(f"uvicorn {version('uvicorn')}, onnxruntime {version('onnxruntime')}; ", end="")
    print(f"{seconds:g} s, limits {' '.join(_LIMITS)}\n")
    with tempfile.TemporaryDirectory() as folder:
        bundle, weights = pack_layer(Path(folder), "N")
        command = [sys.executable, "-m", "runtimes", "serve", str(bundle), "--port", "0", *_LIMITS]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            port = next(int(m[1]) for line in process.stderr if (m := re.search(r"http://127.0.0.1:(\d+)", line)))
            try:
                x = np.random.default_rng(1).standard_normal((4, 64)).astype(np.float32)
                request = _tensor(x, {"data": x.reshape(-1).tolist()})
                status, body = asyncio.run(_ask(port, _post(request)))
                y = np.reshape(json.loads(body)["outputs"][0]["data"], (4, 32))
                assert status == 200
                assert np.allclose(y, np.maximum(x @ weights, 0), rtol=1e-4, atol=1e-5)
                script = Path(folder, "check.lua")
                texts = {"request": json.dumps(request.decode()), "expected": json.dumps(body.decode())}
                script.write_text(_SCRIPT % texts)
                _load(port, process.pid, script, seconds)
            finally:
                process.terminate()
        print(f"SIGTERM: exit code {process.returncode}")


def _load(port: int, server: int, script: Path, seconds: float) -> None:
    counts: Counter[str] = Counter()
    clients = threading.Thread(target=lambda: asyncio.run(_slow_clients(port, seconds, counts)))
    clients.start()
    duration = f"{seconds:.0f}s"
    command = ["wrk", "-t1", "-c4", f"-d{duration}", "--timeout", "20s", "--latency", "-s", str(script)]
    process = psutil.Process(server)
    (worker,) = process.children()
    at: list[float] = []
    resident: dict[str, list[float]] = {"server": [], "worker": []}
    start = time.monotonic()
    with subprocess.Popen([*command, f"http://127.0.0.1:{port}"], stdout=subprocess.PIPE, text=True) as load:
        while load.poll() is None:
            at.append(time.monotonic() - start)
            for name, one in (("server", process), ("worker", worker)):
                resident[name].append(one.memory_info().rss / 2**20)
            time.sleep(min(_EVERY_S, seconds / 20))
        assert load.stdout is not None
        print("".join(line for line in load.stdout if "requests," in line or "errors:" in line), end="")
    clients.join()
    for what, count in sorted(counts.items()):
        print(f"{what}: {count:,}")
    half = len(at) // 2
    for name, values in resident.items():
        slope = np.polyfit(at[half:], values[half:], 1)[0] * 1024
        print(
            f"resident memory of the {name}: {values[half]:.1f} MiB half way, {values[-1]:.1f} MiB at the end, ", end=""
        )
        print(f"trend {slope:+.2f} KiB per second")


async def _slow_clients(port: int, seconds: float, counts: Counter[str]) -> None:
    end = time.monotonic() + seconds
    body = _tensor(x := np.zeros((4000, 64), np.float32), {"data": x.reshape(-1).tolist()})
    halves = (_half(port, end, counts) for _ in range(20))
    await asyncio.gather(*(_slow(port, body, end, counts) for _ in range(2)), *halves)


async def _half(port: int, end: float, counts: Counter[str]) -> None:
    while time.monotonic() < end:
        status, _ = await _ask(port, b"POST /v2/models/layer-N/in")
        counts[f"half, headers: {status or 'closed by the server'}"] += 1


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 600)
