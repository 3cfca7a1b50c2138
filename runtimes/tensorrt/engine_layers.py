"""The layers of an engine: the nodes that TensorRT fused, and the precision of each layer."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from runtimes.bundles.build_plan import EngineLayer

_NODE = re.compile(r"\[ONNX Layer: ([^\]]*)\]")
_LINE = re.compile(r"^Name: (?P<name>.*?), LayerType: (?P<kind>[^,]*), (?P<rest>.*)$")
_OUTPUT = re.compile(r"Outputs: \[ \{.*?Datatype: (?P<type>\w+)")


def from_engine(trt: Any, engine: Any) -> tuple[EngineLayer, ...]:
    """List the layers of an engine that was built with detailed profiling verbosity, by its inspector."""
    inspector = engine.create_engine_inspector()
    text = inspector.get_engine_information(trt.LayerInformationFormat.JSON)
    return tuple(_of_json(layer) for layer in json.loads(text).get("Layers", ()))


def from_log(lines: Sequence[str]) -> tuple[EngineLayer, ...]:
    """List the layers in the builder's log.

    An inspector needs a loaded engine, which needs a GPU. The builder of tensorrt-rtx logs the layers without one.
    """
    text = next((text for text in lines if text.startswith("Layers:")), "")
    table = text.partition("I/O Tensors:")[0].removeprefix("Layers:")
    found = (_LINE.match(line.strip()) for line in table.splitlines())
    return tuple(_of_line(match) for match in found if match)


def _of_json(layer: Any) -> EngineLayer:
    if isinstance(layer, str):  # an engine that was built without detailed verbosity lists only names
        return EngineLayer(layer, "", "")
    outputs = layer.get("Outputs") or [{}]
    precision = outputs[0].get("Datatype") or outputs[0].get("Format/Datatype") or ""
    nodes = tuple(_NODE.findall(layer.get("Metadata") or ""))
    return EngineLayer(layer.get("Name", ""), layer.get("LayerType", ""), precision, nodes)


def _of_line(match: re.Match[str]) -> EngineLayer:
    output = _OUTPUT.search(match["rest"])
    return EngineLayer(
        match["name"], match["kind"], output["type"] if output else "", tuple(_NODE.findall(match["rest"]))
    )
