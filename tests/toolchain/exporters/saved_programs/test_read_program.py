"""Programs of strangers: what torch.export.load would run of a file is refused, and plain files are read."""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.export.pt2_archive.constants import OPAQUE_OBJ_FILENAME_PREFIX

from runtimes.errors import UsageError
from toolchain.exporters import pt2
from toolchain.exporters.saved_programs import UnsafeProgramError
from toolchain.exporters.saved_programs.check_program import check_program
from toolchain.exporters.saved_programs.read_program import read_program

Records = dict[str, bytes]


class Net(nn.Module):
    """Weights, a buffer, a constant, a subgraph, a size that follows from another, a guard, and nested inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(8, 8)])
        self.register_buffer("shift", torch.ones(8))
        self.constant = torch.tensor([1.0, 2.0])

    def forward(self, x, pair, mask=None):
        y = self.layers[0](x) + self.shift
        y = torch.cat([y, y]) * self.constant.sum()
        if x.shape[0] % 2 == 0:
            y = y * 2
        with torch.no_grad():  # a subgraph
            y = y + 1
        return {"y": nn.functional.gelu(y, approximate="tanh"), "sum": (pair[0] + pair[1] * mask).reshape(-1, 1)}


@pytest.fixture(scope="module")
def program() -> torch.export.ExportedProgram:
    examples = (torch.ones(6, 8), (torch.ones(3), torch.ones(3)))
    sizes = {"x": {0: 2 * torch.export.Dim("n")}, "pair": (None, None), "mask": None}
    return torch.export.export(Net(), examples, {"mask": torch.ones(3)}, dynamic_shapes=sizes)


@pytest.fixture(scope="module")
def records(program, tmp_path_factory) -> Records:
    path = tmp_path_factory.mktemp("saved") / "net.pt2"
    torch.export.save(program, path)
    with zipfile.ZipFile(path) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def canary(tmp_path) -> Path:
    return tmp_path / "ran"


def write(path: Path, records: Records) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in records.items():
            archive.writestr(f"net/{name}", data)
    return path


def test_a_plain_program_is_read_as_torch_reads_it(program, records, tmp_path):
    read = read_program(write(tmp_path / "net.pt2", records))
    arguments = (torch.randn(4, 8), (torch.ones(3), torch.ones(3)))
    results, expected = (found.module()(*arguments, mask=torch.ones(3)) for found in (read, program))
    assert all(torch.equal(results[name], expected[name]) for name in ("y", "sum"))
    assert str(read.range_constraints) == str(program.range_constraints)
    with pytest.raises(AssertionError, match="Guard failed"):
        read.module()(torch.ones(5, 8), *arguments[1:], mask=torch.ones(3))


class Touch:
    """An object whose unpickling makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def model_edit(change: Callable[[dict[str, Any], str], object]) -> Callable[[Records, Path], None]:
    """Edit the program's JSON, given Python code that makes the canary."""

    def edit(records: Records, canary: Path) -> None:
        data = json.loads(records["models/model.json"])
        change(data, f"__import__('pathlib').Path('{canary}').touch()")
        records["models/model.json"] = json.dumps(data).encode()

    return edit


def pickled_examples(records: Records, canary: Path) -> None:
    torch.save(((Touch(canary),), {}), buffer := io.BytesIO())
    records["data/sample_inputs/model.pt"] = buffer.getvalue()


def pickled_weight(records: Records, canary: Path) -> None:
    config = json.loads(records["data/weights/model_weights_config.json"])
    config["config"]["shift"]["use_pickle"] = True
    records["data/weights/model_weights_config.json"] = json.dumps(config).encode()
    torch.save(Touch(canary), buffer := io.BytesIO())
    records["data/weights/" + config["config"]["shift"]["path_name"]] = buffer.getvalue()


def pickled_constant(records: Records, canary: Path) -> None:
    config = json.loads(records["data/constants/model_constants_config.json"])
    name = f"{OPAQUE_OBJ_FILENAME_PREFIX}0"
    config["config"]["constant"].update(path_name=name, use_pickle=True)
    records["data/constants/model_constants_config.json"] = json.dumps(config).encode()
    records[f"data/constants/{name}"] = pickle.dumps(Touch(canary))


def old_weights(records: Records, canary: Path) -> None:
    torch.save({"shift": Touch(canary)}, buffer := io.BytesIO())
    records["data/weights/model.pt"] = buffer.getvalue()


def first_size(data: dict[str, Any], code: str) -> None:
    data["graph_module"]["graph"]["tensor_values"]["x"]["sizes"][0]["as_expr"]["expr_str"] = code


def first_target(data: dict[str, Any], code: str) -> None:
    node = data["graph_module"]["graph"]["nodes"][0]
    node["target"] = "torch.os.system"
    node["inputs"] = [{"name": "", "arg": {"as_string": "python3 -c " + repr(code)}, "kind": 1}]


def imports(data: dict[str, Any], code: str) -> None:
    call = data["graph_module"]["module_call_graph"][0]["signature"]
    context = json.dumps({"__enum__": True, "fqn": "antigravity:x", "name": "y"})
    spec = {"type": "builtins.dict", "context": context, "children_spec": []}
    call["out_spec"] = json.dumps([1, spec])


def renamed(data: dict[str, Any], code: str) -> None:
    data["graph_module"]["module_call_graph"][0]["signature"]["forward_arg_names"][0] = f"x=({code})"


ATTACKS = {
    "pickled example inputs": pickled_examples,
    "a pickled weight": pickled_weight,
    "a pickled constant": pickled_constant,
    "pickled weights of an older PyTorch": old_weights,
    "a size": model_edit(first_size),
    "a guard": model_edit(lambda data, code: data.update(guards_code=[code])),
    "an operator": model_edit(first_target),
    "a library to load": model_edit(
        lambda data, _: data["graph_module"]["graph"]["nodes"][0].update(target="torch.ops.load_library")
    ),
    "an operator on files": model_edit(
        lambda data, _: data["graph_module"]["graph"]["nodes"][0].update(target="torch.ops.aten.from_file.default")
    ),
    "an import": model_edit(imports),
    "the name of an argument": model_edit(renamed),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_what_could_run_code_is_refused(name, records, tmp_path, canary):
    evil = dict(records)
    ATTACKS[name](evil, canary)
    path = write(tmp_path / "evil.pt2", evil)
    with pytest.raises(UsageError, match=r"evil\.pt2' .*, so reading it could run code; .*--trust-source"):
        pt2.export(str(path), (), tmp_path / "m.onnx")
    assert not canary.exists()


@pytest.mark.parametrize("name", ["pickled example inputs", "a pickled weight", "a pickled constant", "a size"])
def test_these_attacks_are_real(name, records, tmp_path, canary):
    evil = dict(records)
    ATTACKS[name](evil, canary)
    with pytest.raises(UsageError):  # what the code returns is no program
        pt2.export(str(write(tmp_path / "evil.pt2", evil)), (), tmp_path / "m.onnx", trusted=True)
    assert canary.exists()


def test_a_guard_is_code(records, tmp_path, canary):
    evil = dict(records)
    ATTACKS["a guard"](evil, canary)
    program = torch.export.load(write(tmp_path / "evil.pt2", evil))
    with contextlib.suppress(Exception):  # what touch returns is no truth value
        program.module()(torch.ones(4, 8), (torch.ones(3), torch.ones(3)), mask=torch.ones(3))
    assert canary.exists()


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """List the paths of all texts and keys."""
    if isinstance(value, str):
        return [path]
    if isinstance(value, list):
        return [found for index, item in enumerate(value) for found in places(item, (*path, index))]
    if isinstance(value, dict):
        keys = [(*path, key, "<key>") for key in value]
        return keys + [found for key, item in value.items() for found in places(item, (*path, key))]
    return []


def replaced(value: Any, path: tuple[Any, ...], text: str) -> Any:
    data = json.loads(json.dumps(value))
    holder = data
    *way, last = path[:-1] if path[-1] == "<key>" else path
    for step in way:
        holder = holder[step]
    if path[-1] == "<key>":
        holder[text] = holder.pop(last)
    else:
        holder[last] = text
    return data


def test_no_place_in_a_program_takes_code(records):
    data = json.loads(records["models/model.json"])
    check_program(data)
    taken = set()
    for place in places(data):
        for text in ("__import__('os').system('id')", 'x"]+exec("1")#', "x):\n  import os\n#", "(lambda: 0)()"):
            try:
                check_program(replaced(data, place, text))
            except UnsafeProgramError:
                continue
            taken.add(".".join(str(step) for step in place if isinstance(step, str)))
    # Metadata is left out of what PyTorch gets; the others are arguments of operators, which stay texts.
    assert {name for name in taken if ".metadata." not in name} == {"graph_module.graph.nodes.inputs.arg.as_string"}


@pytest.mark.parametrize("elements", [1 << 40, 1 << 62])
def test_a_weight_cannot_claim_memory_that_the_file_does_not_hold(records, tmp_path, elements):
    evil = dict(records)
    config = json.loads(evil["data/weights/model_weights_config.json"])
    config["config"]["shift"]["tensor_meta"].update(sizes=[{"as_int": elements}], strides=[{"as_int": 0}])
    evil["data/weights/model_weights_config.json"] = json.dumps(config).encode()
    with pytest.raises(UnsafeProgramError, match=r"claims .* bytes for the weight 'shift'"):
        read_program(write(tmp_path / "evil.pt2", evil))
