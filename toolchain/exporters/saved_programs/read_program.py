"""Reader of `.pt2` archives that unpickles, imports and evaluates nothing that is not known to be harmless."""

from __future__ import annotations

import io
import json
import math
import pickle
from pathlib import Path
from typing import Any

import torch
from torch._export.serde import schema, serialize
from torch.export.pt2_archive import _package, constants

from toolchain.exporters.saved_programs import UnsafeProgramError
from toolchain.exporters.saved_programs.check_program import check_key, check_program

_MODEL = "model"  # the name that torch.export.save gives
_EXPANDED_BYTES = 1 << 26  # a weight may repeat its bytes, as a broadcast buffer does, up to this size


def read_program(source: Path) -> torch.export.ExportedProgram:
    """Read a program that torch.export.save wrote, as torch.export.load does, but as data alone.

    Each record is read once, by PyTorch's own reader, and checked before it is used.

    Raises:
        UnsafeProgramError: a part of it could run code, or claims more memory than it holds.
        Exception: it is damaged; zipfile, json and torch raise errors of their own.
    """
    with _package.PT2ArchiveReader(str(source)) as archive:
        names = set(archive.get_file_names())
        if archive.read_string(constants.ARCHIVE_VERSION_PATH) != constants.ARCHIVE_VERSION_VALUE:
            raise ValueError("the archive is of another version")
        program = check_program(json.loads(archive.read_string(constants.MODELS_FILENAME_FORMAT.format(_MODEL))))
        for folder, config in (
            (constants.WEIGHTS_DIR, constants.WEIGHTS_CONFIG_FILENAME_FORMAT),
            (constants.CONSTANTS_DIR, constants.CONSTANTS_CONFIG_FILENAME_FORMAT),
        ):
            if f"{folder}{_MODEL}.pt" in names:
                raise UnsafeProgramError("holds pickled weights, as PyTorch 2.8 wrote them")
            _check_weights(archive, folder, json.loads(archive.read_string(config.format(_MODEL))))
        examples = _examples(archive.read_bytes(constants.SAMPLE_INPUTS_FILENAME_FORMAT.format(_MODEL)))
        return serialize.ExportedProgramDeserializer().deserialize(
            serialize._dict_to_dataclass(schema.ExportedProgram, program),  # type: ignore[no-untyped-call]
            _package._load_state_dict(archive, _MODEL),
            _package._load_constants(archive, _MODEL),
            examples,
        )


def _check_weights(archive: Any, folder: str, config: Any) -> None:
    """Check that weights or constants are plain tensors, and no larger than their bytes in the archive."""
    check_program(config)
    for name, weight in config["config"].items():
        path = weight["path_name"]
        if weight["use_pickle"]:
            raise UnsafeProgramError(f"holds the weight '{name}' as a pickle")
        if folder == constants.CONSTANTS_DIR and not path.startswith(constants.TENSOR_CONSTANT_FILENAME_PREFIX):
            raise UnsafeProgramError(f"holds the constant '{name}' as a pickled object")
        meta = weight["tensor_meta"]
        elements = math.prod(size["as_int"] for size in meta["sizes"])
        claimed = elements * serialize._SERIALIZE_TO_TORCH_DTYPE[meta["dtype"]].itemsize
        held = archive.archive_file.get_record_size(folder + path)
        if claimed > max(held, _EXPANDED_BYTES):
            raise UnsafeProgramError(f"claims {claimed:,} bytes for the weight '{name}', of which it holds {held:,}")


def _examples(content: bytes) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """Read example inputs: arguments and keyword arguments, in tuples, lists and dicts."""
    if not content:
        return None
    try:
        examples = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
    except pickle.UnpicklingError:
        raise UnsafeProgramError("holds example inputs that are pickled objects") from None
    _check_example(examples)
    positional, keywords = examples
    return tuple(positional), dict(keywords)


def _check_example(value: object) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            check_key(key)
            _check_example(item)
    elif isinstance(value, (tuple, list)):
        for item in value:
            _check_example(item)
    elif isinstance(value, str):
        check_program({"as_string": value})
    elif value is not None and not isinstance(value, (torch.Tensor, int, float, complex, torch.dtype, torch.device)):
        raise UnsafeProgramError(f"has a {type(value).__name__} among its example inputs")
