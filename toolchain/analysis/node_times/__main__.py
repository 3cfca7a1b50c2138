"""Child process that profiles a model: `python -m toolchain.analysis.node_times REQUEST.json INPUTS.npz TIMES.json`."""

from __future__ import annotations

import json
import sys
from itertools import islice
from pathlib import Path

from runtimes import npz, plugins, samples
from runtimes.bundles.manifest import Artifact
from runtimes.codec import decode, encode
from runtimes.errors import EdgewrightError
from runtimes.processes.parent_death import end_with_parent
from toolchain.analysis import node_times


def main(request: Path, inputs: Path, times: Path) -> None:
    """Profile the request's artifact on the samples in turn, and write the times of its nodes."""
    artifact = decode(Artifact, json.loads(request.read_text()), "the artifact to profile")
    runs = node_times.RUNS
    try:
        profiler = plugins.load(node_times.__name__, artifact.runtime, "runtime")
        feeds = list(islice(samples.feeds(artifact.inputs, npz.read(inputs)), runs))
        found = profiler.node_times(artifact.file, artifact.settings, feeds, runs)
    except EdgewrightError as error:
        sys.exit(str(error))
    times.write_text(json.dumps(encode(found)))


if __name__ == "__main__":
    end_with_parent()
    main(*map(Path, sys.argv[1:]))
