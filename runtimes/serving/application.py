"""The paths of the server. Health is answered here; inferences and metrics are passed on to the worker."""

from __future__ import annotations

import asyncio

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import runtimes
from runtimes.bundles.manifest import Artifact
from runtimes.serving import frames, open_inference_protocol
from runtimes.serving.inference_endpoint import InferenceEndpoint
from runtimes.serving.limits import Limits
from runtimes.serving.worker import Worker, WorkerGoneError

_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


def application(worker: Worker, artifact: Artifact, name: str, limits: Limits) -> Starlette:
    """Make the ASGI application.

    Args:
        worker: the worker, which has been started.
        artifact: the model that it loaded.
        name: the model's name in the paths.
        limits: the server's limits; `request_s` bounds a scrape of the metrics, too.
    """
    about = {"name": "edgewright", "version": runtimes.__version__, "extensions": ["binary_tensor_data"]}
    model = open_inference_protocol.metadata(name, artifact)

    async def server(_: Request) -> Response:
        return JSONResponse(about)

    async def live(_: Request) -> Response:
        return JSONResponse({"live": True})

    async def ready(_: Request) -> Response:
        return JSONResponse({"ready": worker.is_ready}, 200 if worker.is_ready else 503)

    async def describe(_: Request) -> Response:
        return JSONResponse(model)

    async def scrape(_: Request) -> Response:
        try:
            answer = await asyncio.wait_for(worker.ask(frames.METRICS), limits.request_s)
        except (WorkerGoneError, asyncio.TimeoutError) as error:
            return JSONResponse({"error": str(error) or "The runtime's process is too busy."}, 503)
        return Response(answer.content, media_type=_PROMETHEUS)

    async def unknown(_: Request, __: Exception) -> Response:
        return JSONResponse({"error": f"There is nothing at this path; the model here is /v2/models/{name}."}, 404)

    infer = InferenceEndpoint(worker, limits.for_model(artifact.inputs, artifact.limits.sizes))
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
