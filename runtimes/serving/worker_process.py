"""The worker: a process that loads one bundle and answers requests for inferences from a socket.

It is a process of its own so that what a request makes Python or a runtime do (parse a large text, end the process)
takes neither the server nor its answers about its health. It ends when the server does.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from runtimes.command_line import read_plan
from runtimes.errors import BackendError, EdgewrightError, one_line
from runtimes.inference.load import load
from runtimes.inference.session import Session
from runtimes.processes.parent_death import end_with_parent
from runtimes.serving import frames, open_inference_protocol
from runtimes.serving.frames import Frame
from runtimes.serving.prometheus import SessionMetrics

_MOST_DIGITS = 640  # the least limit that Python allows; converting a number takes the square of its digits


@dataclass(frozen=True)
class WorkerPlan:
    """Instructions for a worker.

    Attributes:
        bundle: the .edge file.
        name: the model's name in answers.
        requests: number of inferences at once.
        json_bytes: bytes of JSON in an answer.
        any_machine: as in `load`.
        public_key: as in `load`.
        at_least: as in `load`.
        state: as in `load`.
    """

    bundle: Path
    name: str
    requests: int
    json_bytes: int
    any_machine: bool = False
    public_key: Path | None = None
    at_least: int = 0
    state: Path | None = None


def main(connection: socket.socket, plan: WorkerPlan) -> None:
    """Load the bundle, say so, and answer until the server is gone."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the server ends its worker when the last answer is out
    if hasattr(sys, "set_int_max_str_digits"):
        sys.set_int_max_str_digits(_MOST_DIGITS)
    try:
        session = load(
            plan.bundle,
            any_machine=plan.any_machine,
            public_key=plan.public_key,
            at_least=plan.at_least,
            state=plan.state,
        )
    except EdgewrightError as error:
        frames.send(connection, Frame(0, 500, one_line(str(error)).encode()))
        return
    frames.send(connection, Frame(0, 200))
    _answer_all(connection, session, plan)
    os._exit(0)  # nobody waits for the inferences that are still running


def _answer_all(connection: socket.socket, session: Session, plan: WorkerPlan) -> None:
    metrics, turn = SessionMetrics(session, plan.name), threading.Lock()

    def answer(request: Frame, make: Callable[[], Frame]) -> None:
        frame = _checked(request.id, make)
        with turn:
            frames.send(connection, frame)

    inferences, scrapes = ThreadPoolExecutor(plan.requests), ThreadPoolExecutor(1)
    while (request := frames.receive(connection)) is not None:
        if request.code == frames.METRICS:
            scrapes.submit(answer, request, functools.partial(_scrape, metrics, request))
        else:
            inferences.submit(answer, request, functools.partial(_infer, session, plan, request))


def _scrape(metrics: SessionMetrics, request: Frame) -> Frame:
    return Frame(request.id, 200, metrics.text())


def _infer(session: Session, plan: WorkerPlan, request: Frame) -> Frame:
    parsed = open_inference_protocol.parse(request.content, request.json_bytes, session.inputs, session.outputs)
    outputs = session.run(parsed.feeds)
    content, json_bytes = open_inference_protocol.answer(parsed, outputs, plan.name, plan.json_bytes)
    return Frame(request.id, 200, content, json_bytes)


def _checked(number: int, make: Callable[[], Frame]) -> Frame:
    """Return an answer, or the refusal that an exception means."""
    try:
        return make()
    except BackendError as error:
        return _refusal(number, 500, one_line(str(error)))
    except EdgewrightError as error:
        return _refusal(number, 400, one_line(str(error)))
    except MemoryError:
        return _refusal(number, 503, "There is too little memory for this request.")
    except Exception:
        traceback.print_exc()
        return _refusal(number, 500, "The server made a mistake; its log holds the details.")


def _refusal(number: int, status: int, reason: str) -> Frame:
    return Frame(number, status, json.dumps({"error": reason}).encode())


if __name__ == "__main__":
    end_with_parent()
    main(socket.socket(fileno=int(sys.argv[1])), read_plan(WorkerPlan, sys.argv[2]))
