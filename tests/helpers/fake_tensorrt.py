"""TensorRT's Python API over ONNX Runtime: as strict as the real one about order, addresses, shapes and lifetimes.

What is named here is in the genuine bindings; `test_api_surface.py` holds our use of them to it.
"""

from __future__ import annotations

import enum
import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from fake_cuda import FakeMemory
from onnx import helper

_TYPES = {"float32": "FLOAT", "float16": "HALF", "int64": "INT64", "int32": "INT32", "bool": "BOOL", "uint8": "UINT8"}
Severity = enum.Enum("Severity", "INTERNAL_ERROR ERROR WARNING INFO VERBOSE", start=0)
DataType = enum.Enum("DataType", "FLOAT HALF BF16 INT8 INT32 INT64 BOOL UINT8")
BuilderFlag = enum.IntEnum("BuilderFlag", "TF32 GPU_FALLBACK VERSION_COMPATIBLE", start=0)
NetworkDefinitionCreationFlag = enum.IntEnum("NetworkDefinitionCreationFlag", "EXPLICIT_BATCH STRONGLY_TYPED", start=0)


def make(memory: FakeMemory, version: str = "10.3.0") -> Any:
    """A module like `tensorrt`, on a fake GPU."""
    state = SimpleNamespace(memory=memory, lifetimes=[], cancelled=False, capturable=True, loggers=[], builds=0)

    class Base:
        pass

    class Named:
        """Notes when it goes."""

        kind = ""

        def __del__(self) -> None:
            state.lifetimes.append(f"{self.kind} gone, {len(memory.allocations)} buffers")

    def say(severity: str, text: str) -> None:
        for logger in state.loggers:
            logger.log(Severity[severity], text)

    class Runtime(Named):
        kind = "runtime"

        def __init__(self, logger: Any) -> None:
            state.loggers[:] = [logger]

        def deserialize_cuda_engine(self, data: bytes) -> Any:
            header, _, model = data.partition(b"\n")
            try:
                profiles = json.loads(header)
            except ValueError:
                say("ERROR", "Magic tag does not match")
                return None
            return Engine(self, profiles, model)

    class Engine(Named):
        kind = "engine"

        def __init__(self, runtime: Runtime, profiles: Any, model: bytes) -> None:
            self.runtime, self.profiles = runtime, profiles
            graph = onnx.load_from_string(model).graph
            self.session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
            constants = {tensor.name for tensor in graph.initializer}
            self.inputs = [value for value in graph.input if value.name not in constants]
            self.values = {value.name: value for value in (*self.inputs, *graph.output)}
            self.num_io_tensors = len(self.values)
            self.num_optimization_profiles = max(len(profiles), 1)

        def get_tensor_name(self, index: int) -> str:
            return list(self.values)[index]

        def get_tensor_mode(self, name: str) -> str:
            return "INPUT" if any(value.name == name for value in self.inputs) else "OUTPUT"

        def get_tensor_dtype(self, name: str) -> DataType:
            kind = helper.tensor_dtype_to_np_dtype(self.values[name].type.tensor_type.elem_type)
            return DataType[_TYPES.get(kind.name, "BF16")]

        def get_tensor_location(self, name: str) -> str:
            return "DEVICE"

        def get_tensor_profile_shape(self, name: str, index: int) -> list[tuple[int, ...]]:
            if self.profiles and name in self.profiles[index]:
                return [tuple(shape) for shape in self.profiles[index][name]]
            return [tuple(self.dims(name))] * 3

        def dims(self, name: str) -> list[Any]:
            return [dim.dim_value or dim.dim_param for dim in self.values[name].type.tensor_type.shape.dim]

        def create_execution_context(self) -> Any:
            return Context(self)

        def create_engine_inspector(self) -> Any:
            node = {"Name": "fused", "LayerType": "kgen", "Outputs": [{"Datatype": "Float"}]}
            text = json.dumps({"Layers": [{**node, "Metadata": "[ONNX Layer: a]\u001e[ONNX Layer: b]"}]})
            return SimpleNamespace(get_engine_information=lambda form: text)

    class Context(Named):
        kind = "context"

        def __init__(self, engine: Engine) -> None:
            self.engine, self.profile = engine, 0
            self.shapes: dict[str, tuple[int, ...]] = {}
            self.addresses: dict[str, int] = {}
            for value in engine.inputs:
                if all(isinstance(size, int) for size in engine.dims(value.name)):
                    self.shapes[value.name] = tuple(engine.dims(value.name))

        def set_optimization_profile_async(self, index: int, stream: int) -> bool:
            memory.enqueue("profile", lambda: None, stream)
            self.profile = index
            dynamic = self.engine.profiles[index]
            self.shapes = {name: shape for name, shape in self.shapes.items() if name not in dynamic}
            return True

        def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
            least, _, largest = self.engine.get_tensor_profile_shape(name, self.profile)
            if not all(a <= size <= b for a, size, b in zip(least, shape, largest)):
                say("ERROR", f"setInputShape: {name} is outside profile {self.profile}")
                return False
            self.shapes[name] = tuple(shape)
            return True

        def get_tensor_shape(self, name: str) -> tuple[int, ...]:
            sizes: dict[str, int] = {}
            for value in self.engine.inputs:
                dims = self.engine.dims(value.name)
                sizes |= {dim: size for dim, size in zip(dims, self.shapes[value.name]) if isinstance(dim, str)}
            return tuple(sizes.get(dim, -1) if isinstance(dim, str) else dim for dim in self.engine.dims(name))

        def set_tensor_address(self, name: str, address: int) -> bool:
            self.addresses[name] = address
            return True

        def execute_async_v3(self, stream: int) -> bool:
            if memory.capturing is not None and not state.capturable:
                say("ERROR", "operation not permitted when stream is capturing")
                return False
            if set(self.addresses) != set(self.engine.values) or len(self.shapes) != len(self.engine.inputs):
                say("ERROR", "enqueueV3: an address or a shape was not set")
                return False
            memory.enqueue("execute", self._work(dict(self.shapes), dict(self.addresses)), stream)
            return True

        def _work(self, shapes: Any, addresses: Any) -> Any:
            """Work that the GPU will do; it holds the engine's weights, and not the context."""
            session, types = self.engine.session, {name: self._numpy(name) for name in self.engine.values}

            def work() -> None:
                feeds = {}
                for name, shape in shapes.items():
                    nbytes = int(np.prod(shape)) * types[name].itemsize
                    feeds[name] = memory.at(addresses[name], nbytes).view(types[name]).reshape(shape)
                names = [output.name for output in session.get_outputs()]
                for name, array in zip(names, session.run(names, feeds)):
                    data = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
                    memory.at(addresses[name], len(data))[:] = data

            return work

        def _numpy(self, name: str) -> Any:
            return helper.tensor_dtype_to_np_dtype(self.engine.values[name].type.tensor_type.elem_type)

    class Builder:
        def __init__(self, logger: Any) -> None:
            state.loggers[:] = [logger]

        def create_network(self, flags: int) -> Any:
            return SimpleNamespace(flags=flags, model=b"")

        def create_builder_config(self) -> Any:
            return Config()

        def create_optimization_profile(self) -> Any:
            shapes: dict[str, Any] = {}
            return SimpleNamespace(
                shapes=shapes, set_shape=lambda name, *three: shapes.update({name: [list(s) for s in three]})
            )

        def build_serialized_network(self, network: Any, config: Any) -> bytes | None:
            state.builds += 1
            state.config = config
            watch = config.progress_monitor
            watch.phase_start("Building", None, 4)
            for step in range(4):
                if not watch.step_complete("Building", step):
                    say("ERROR", "Build canceled by user")
                    return None
            watch.phase_finish("Building")
            say("WARNING", "a warning")
            return json.dumps(config.profiles).encode() + b"\n" + network.model

    class Config:
        def __init__(self) -> None:
            self.flags, self.pools, self.profiles = {BuilderFlag.TF32}, {}, []

        def set_flag(self, flag: Any) -> None:
            self.flags.add(flag)

        def clear_flag(self, flag: Any) -> None:
            self.flags.discard(flag)

        def set_memory_pool_limit(self, pool: str, nbytes: int) -> None:
            self.pools[pool] = nbytes

        def add_optimization_profile(self, profile: Any) -> int:
            self.profiles.append(profile.shapes)
            return len(self.profiles) - 1

        def create_timing_cache(self, blob: bytes) -> Any:
            return SimpleNamespace(blob=blob, serialize=lambda: blob + b".")

        def set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> bool:
            self.cache = cache
            return not cache.blob.startswith(b"foreign")

        def get_timing_cache(self) -> Any:
            return self.cache

    class OnnxParser:
        num_errors = 0

        def __init__(self, network: Any, logger: Any) -> None:
            self.network = network

        def parse(self, model: bytes) -> bool:
            self.network.model = model
            return True

    return SimpleNamespace(
        __name__="tensorrt",
        __version__=version,
        state=state,
        ILogger=Base,
        IProgressMonitor=Base,
        Runtime=Runtime,
        Builder=Builder,
        OnnxParser=OnnxParser,
        BuilderFlag=BuilderFlag,
        NetworkDefinitionCreationFlag=NetworkDefinitionCreationFlag,
        TensorIOMode=SimpleNamespace(INPUT="INPUT", OUTPUT="OUTPUT"),
        TensorLocation=SimpleNamespace(HOST="HOST", DEVICE="DEVICE"),
        MemoryPoolType=SimpleNamespace(WORKSPACE="WORKSPACE"),
        ProfilingVerbosity=SimpleNamespace(DETAILED="DETAILED"),
        LayerInformationFormat=SimpleNamespace(JSON="JSON"),
        DeviceType=SimpleNamespace(GPU="GPU", DLA="DLA"),
        HardwareCompatibilityLevel=SimpleNamespace(AMPERE_PLUS="AMPERE_PLUS"),
    )
