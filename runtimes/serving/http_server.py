"""The HTTP server: a session over the Open Inference Protocol (KServe v2), and /metrics for Prometheus."""

from __future__ import annotations

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import runtimes
from runtimes.errors import BackendError, EdgewrightError, one_line
from runtimes.inference.session import Session
from runtimes.serving import open_inference_protocol
from runtimes.serving.prometheus import SessionMetrics

_JSON_BYTES = "inference-header-content-length"
_MOST_BYTES = 256 << 20  # one request is no larger, so that no client can fill the memory


def serve(session: Session, name: str, host: str = "127.0.0.1", port: int = 8000) -> None:
    """Answer requests until the process is told to stop (SIGINT, SIGTERM).

    Args:
        session: the model; several requests may run it at once.
        name: the model's name in the paths.
        host: the address to listen on.
        port: the port to listen on; 0 takes a free port, which uvicorn logs.
    """
    uvicorn.run(application(session, name), host=host, port=port, access_log=False)


def application(session: Session, name: str) -> Starlette:
    """Make the ASGI application, which any ASGI server can run."""
    metrics = SessionMetrics(session, name)
    about = {"name": "edgewright", "version": runtimes.__version__, "extensions": ["binary_tensor_data"]}
    model = open_inference_protocol.metadata(name, session.artifact)

    async def infer(request: Request) -> Response:
        body = await _body(request)
        if body is None:
            return JSONResponse({"error": f"A request has {_MOST_BYTES:,} bytes at most."}, 413)
        try:
            return await run_in_threadpool(_infer, session, name, body, request.headers.get(_JSON_BYTES))
        except EdgewrightError as error:
            return JSONResponse({"error": one_line(str(error))}, 500 if isinstance(error, BackendError) else 400)

    async def server(_: Request) -> Response:
        return JSONResponse(about)

    async def live(_: Request) -> Response:
        return JSONResponse({"live": True})

    async def ready(_: Request) -> Response:
        return JSONResponse({"ready": True})

    async def describe(_: Request) -> Response:
        return JSONResponse(model)

    async def scrape(_: Request) -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def unknown(_: Request, __: Exception) -> Response:
        return JSONResponse({"error": f"There is nothing at this path; the model here is /v2/models/{name}."}, 404)

    routes = [
        Route("/v2", server),
        Route("/v2/health/live", live),
        Route("/v2/health/ready", ready),
        Route("/metrics", scrape),
    ]
    for path in (f"/v2/models/{name}", f"/v2/models/{name}/versions/1"):
        routes += [
            Route(path, describe),
            Route(f"{path}/ready", ready),
            Route(f"{path}/infer", infer, methods=["POST"]),
        ]
    return Starlette(routes=routes, exception_handlers={404: unknown})


def _infer(session: Session, name: str, body: bytes, json_bytes: str | None) -> Response:
    # Ten digits hold more than the largest request; int() refuses a text of thousands of digits.
    length = int(json_bytes[:10]) if json_bytes is not None and json_bytes.isdecimal() else None
    request = open_inference_protocol.parse(body, length, session.outputs)
    content, head_bytes = open_inference_protocol.answer(request, session.run(request.feeds), name)
    if head_bytes is None:
        return Response(content, media_type="application/json")
    headers = {"Inference-Header-Content-Length": str(head_bytes)}
    return Response(content, headers=headers, media_type="application/octet-stream")


async def _body(request: Request) -> bytes | None:
    """Read the request's bytes; None if they are too many, and then the rest is not read."""
    chunks, length = [], 0
    async for chunk in request.stream():
        length += len(chunk)
        if length > _MOST_BYTES:
            return None
        chunks.append(chunk)
    return b"".join(chunks)
