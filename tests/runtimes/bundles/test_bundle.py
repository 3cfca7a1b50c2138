"""Contents of a bundle, and the errors for one that is not as it should be."""

from __future__ import annotations

import pickle
import shutil
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundle_parts import BundleParts, read_all, write_zip

from runtimes.bundles.bundle import MANIFEST, REPORT, Bundle, golden_member
from runtimes.errors import BundleError, SchemaError, TamperedError, UsageError
from runtimes.tensors import Array
from toolchain.packaging.pack import Contents

ARTIFACT = "artifact/model.onnx"
GOLDEN = golden_member("input", 0)


# What good bundles give.


def test_the_manifest_says_what_was_packed(bundle: Path, contents: Contents) -> None:
    with Bundle(bundle) as opened:
        manifest = opened.manifest
    assert (manifest.model, manifest.profile, manifest.schema_version) == ("tiny", contents.profile, 1)
    assert manifest.artifact.file == Path(ARTIFACT)
    assert manifest.artifact.inputs == contents.artifact.inputs
    assert manifest.golden.samples == 4


def test_members_are_read_as_they_were_packed(bundle: Path, contents: Contents) -> None:
    members = read_all(bundle)
    assert set(members) == {ARTIFACT, GOLDEN, golden_member("output", 0), REPORT}
    assert members[ARTIFACT] == contents.artifact.file.read_bytes()
    assert members[REPORT] == b'{"note": "none"}'


def test_golden_arrays_come_by_tensor_name(bundle: Path, contents: Contents, images: Array) -> None:
    with Bundle(bundle) as opened:
        np.testing.assert_array_equal(opened.golden("input", contents.artifact.inputs)["image"], images)
        assert opened.golden("output", contents.artifact.outputs)["scores"].shape == (4, 5)


def test_leaving_the_context_closes_the_file(bundle: Path) -> None:
    with Bundle(bundle) as opened:
        pass
    with pytest.raises(TamperedError, match="closed"):
        opened.read(ARTIFACT)


# What each kind of bad bundle is told.


@pytest.mark.parametrize("content", [b"", b"PK", b"not a zip at all" * 100, b"PK\x05\x06" + bytes(18)])
def test_what_is_no_bundle(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.edge"
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"is not an .edge bundle: "):
        Bundle(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^There is no file '.*/no\.edge'\.$"):
        Bundle(tmp_path / "no.edge")


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"is not an .edge bundle: .*directory"):
        Bundle(tmp_path)


def test_another_program_s_zip(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"is not an \.edge bundle: it has no manifest\.json"):
        Bundle(write_zip(tmp_path / "x.edge", {"readme.txt": b"hello"}))
    np.savez(tmp_path / "x.npz", image=np.zeros(3))
    np.savez_compressed(tmp_path / "packed.npz", image=np.zeros(3))
    for name in ("x.npz", "packed.npz"):
        with pytest.raises(BundleError, match=r"is not an \.edge bundle: it has no manifest\.json"):
            Bundle(tmp_path / name)


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "golden/../../evil",
        "/etc/passwd",
        "a//b",
        "a\\b",
        "C:/x",
        ".hidden",
        "-rf",
        "a b",
        "folder/",
        "ä",
        "",
    ],
)
def test_names_that_could_leave_a_folder(parts: BundleParts, repacked: Callable[[], Path], name: str) -> None:
    parts.members[name] = b"data"
    with pytest.raises(TamperedError, match="has a member with the unsafe name"):
        Bundle(repacked())


def test_two_members_of_one_name(bundle: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(bundle, tmp_path / "x.edge"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile's own doubts about what we make here
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(ARTIFACT, b"another model")
    with pytest.raises(TamperedError, match=f"has two members named '{ARTIFACT}'"):
        Bundle(path)


def test_a_link(parts: BundleParts, tmp_path: Path) -> None:
    path = parts.write(tmp_path / "x.edge")
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(TamperedError, match="the member 'link' is a link"):
        Bundle(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_compressed_member(parts: BundleParts, tmp_path: Path, method: int) -> None:
    path = parts.write(tmp_path / "x.edge")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("bomb", bytes(1 << 20), method)
    with pytest.raises(TamperedError, match="the member 'bomb' is compressed"):
        Bundle(path)


def test_a_member_that_claims_more_bytes_than_the_file_has(parts: BundleParts, tmp_path: Path) -> None:
    parts.manifest["members"][ARTIFACT]["size_bytes"] = 2**31
    path = parts.write(tmp_path / "x.edge")
    content = bytearray(path.read_bytes())
    entry = content.rindex(ARTIFACT.encode()) - 46  # its header in the central directory
    content[entry + 20 : entry + 28] = (2**31).to_bytes(4, "little") * 2
    path.write_bytes(content)
    with pytest.raises(TamperedError, match=f"'{ARTIFACT}' claims 2,147,483,648 bytes, which the file does not have"):
        Bundle(path)


def test_an_encrypted_member(bundle: Path, tmp_path: Path) -> None:
    content = bytearray(bundle.read_bytes())
    content[content.rindex(ARTIFACT.encode()) - 46 + 8] |= 1  # the flag in the central directory
    path = tmp_path / "x.edge"
    path.write_bytes(content)
    with pytest.raises(TamperedError, match=f"the member '{ARTIFACT}' is encrypted"):
        Bundle(path)


def test_a_missing_member(parts: BundleParts, tmp_path: Path) -> None:
    del parts.members[GOLDEN]
    with pytest.raises(TamperedError, match=f"' lacks {GOLDEN}.$"):
        Bundle(parts.write(tmp_path / "x.edge"))


def test_an_undeclared_member(parts: BundleParts, tmp_path: Path) -> None:
    parts.members["extra.so"] = b"\x7fELF"
    with pytest.raises(TamperedError, match=r"' has undeclared extra\.so\.$"):
        Bundle(parts.write(tmp_path / "x.edge"))


def test_a_manifest_that_declares_itself(parts: BundleParts, tmp_path: Path) -> None:
    parts.manifest["members"][MANIFEST] = {"sha256": "0" * 64, "size_bytes": 1}
    with pytest.raises(TamperedError, match=r"' lacks manifest\.json"):
        Bundle(parts.write(tmp_path / "x.edge"))


def test_a_member_of_another_size(parts: BundleParts, tmp_path: Path) -> None:
    parts.members[REPORT] += b" "
    with pytest.raises(TamperedError, match=r"'report\.json' has 17 bytes; the manifest declares 16"):
        Bundle(parts.write(tmp_path / "x.edge"))


def test_a_member_with_other_bytes(parts: BundleParts, tmp_path: Path) -> None:
    parts.members[ARTIFACT] = parts.members[ARTIFACT].replace(b"Relu", b"Sign")
    with Bundle(parts.write(tmp_path / "x.edge")) as opened:
        assert opened.read(REPORT)
        for read in (opened.check, lambda: opened.read(ARTIFACT)):
            with pytest.raises(TamperedError, match=f"the bytes of '{ARTIFACT}' are not those that were packed"):
                read()


def test_a_member_nobody_packed(bundle: Path) -> None:
    with Bundle(bundle) as opened:
        for name in ("nothing", MANIFEST):
            with pytest.raises(TamperedError, match=f"has no member '{name}'"):
                opened.read(name)


@pytest.mark.parametrize("version", [2, 0, None, "1", 1.5, "x" * 1000])
def test_another_schema(parts: BundleParts, tmp_path: Path, version: Any) -> None:
    parts.manifest["schema_version"] = version
    parts.manifest["something_new"] = {}
    with pytest.raises(
        SchemaError, match=r"follows bundle schema .{1,20}; .* reads 1\. Upgrade edgewright, or"
    ) as error:
        Bundle(parts.write(tmp_path / "x.edge"))
    assert len(str(error.value)) < 300


def manifest_only(path: Path, manifest: bytes) -> Path:
    return write_zip(path, {MANIFEST: manifest})


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [
        pytest.param(b"", "is not JSON", id="empty"),
        pytest.param(b"{'model': 1}", "is not JSON", id="almost JSON"),
        pytest.param(b"\xff\xfe\x00", "is not JSON", id="no text"),
        pytest.param(b"[" * 1_000_000, "is not JSON", id="an endless list"),
        pytest.param(b"[" * 100 + b"]" * 100, "nested more than 32 deep", id="a deep list"),
        pytest.param(b'{"a":' * 100 + b"1" + b"}" * 100, "nested more than 32 deep", id="a deep table"),
        pytest.param(b'{"schema_version": 1}', "key 'model' is missing", id="nearly nothing"),
        pytest.param(b'{"schema_version": true}', "'schema_version' should be an integer, got True", id="true is no 1"),
        pytest.param(b" " * (4 << 20) + b"{}", r"has 4,194,306 bytes; 4 MiB is the most", id="huge"),
    ],
)
def test_a_bad_manifest(tmp_path: Path, manifest: bytes, reason: str) -> None:
    with pytest.raises(TamperedError, match=reason):
        Bundle(manifest_only(tmp_path / "x.edge", manifest))


@pytest.mark.parametrize("manifest", [b"[]", b"null", b"3", b'"text"', b"{}"])
def test_a_manifest_without_a_version(tmp_path: Path, manifest: bytes) -> None:
    with pytest.raises(SchemaError, match="follows bundle schema None"):
        Bundle(manifest_only(tmp_path / "x.edge", manifest))


@pytest.mark.parametrize("file", ["artifact/other.onnx", "/etc/passwd", "../model.onnx", "", MANIFEST])
def test_an_artifact_that_is_not_among_the_members(parts: BundleParts, tmp_path: Path, file: str) -> None:
    parts.manifest["artifact"]["file"] = file
    with pytest.raises(TamperedError, match=r"the artifact '.*' is not among the members"):
        Bundle(parts.write(tmp_path / "x.edge"))


def set_in(data: Any, keys: str, value: Any) -> None:
    *path, last = keys.split(".")
    for key in path:
        data = data[int(key) if key.isdigit() else key]
    data[last] = value


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("golden.samples", -1, "has samples = -1"),
        ("golden.tolerance", float("nan"), "tolerance = nan"),
        ("golden.tolerance", float("inf"), "tolerance = inf"),
        pytest.param("golden.tolerance", 10**400, "a number below 1e308", id="a number beyond floats"),
        ("artifact.settings.threads", -5, "-5 threads; choose 0 to 1024"),
        ("artifact.settings.threads", 10**6, "1000000 threads; choose 0 to 1024"),
        ("artifact.settings.options", {"spinning": 1}, "'artifact.settings.options.spinning' should be a string"),
        ("artifact.inputs.0.shape", [-1, 3], r"has shape \[-1, 3\]"),
        ("artifact.inputs", [{"name": "x", "dtype": "int8", "shape": []}] * 2, "has inputs of one name: x, x"),
        ("artifact.outputs", [{"name": "x", "dtype": "int8", "shape": []}] * 2, "has outputs of one name: x, x"),
        ("profile.arch", "mips", "'profile.arch' should be one of x86_64, aarch64"),
        ("profile.threads", 0, "has threads = 0"),
        ("nonsense", 1, "unknown key 'nonsense'"),
    ],
)
def test_values_that_cannot_be(parts: BundleParts, tmp_path: Path, key: str, value: Any, reason: str) -> None:
    set_in(parts.manifest, key, value)
    with pytest.raises(TamperedError, match=rf"x\.edge: manifest\.json: .*{reason}|^.*{reason}"):
        Bundle(parts.write(tmp_path / "x.edge"))


class Exploit:
    """Unpickling one makes a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.target,))


def test_pickled_objects_are_not_unpickled(
    parts: BundleParts, repacked: Callable[[], Path], contents: Contents, tmp_path: Path
) -> None:
    header = (
        np.lib.format.magic(1, 0)
        + b"\x76\x00"
        + b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(117)
        + b"\n"
    )
    for data in (header + pickle.dumps([Exploit(tmp_path / "a")]), pickle.dumps(Exploit(tmp_path / "a"))):
        parts.members[GOLDEN] = data
        with Bundle(repacked()) as opened, pytest.raises(BundleError, match=f"'{GOLDEN}' is not a plain array"):
            opened.golden("input", contents.artifact.inputs)
    assert not (tmp_path / "a").exists()
    assert pickle.loads(data) is None  # it would have worked
    assert (tmp_path / "a").exists()


def npy(header: str, data: bytes = b"") -> bytes:
    text = header.encode() + b"\n"
    return np.lib.format.magic(1, 0) + len(text).to_bytes(2, "little") + text + data


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\x93NUMPY", id="cut"),
        pytest.param(b"PK\x05\x06" + bytes(18), id="a zip"),
        pytest.param(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4,)}", b"123"), id="too little data"),
        pytest.param(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,)}"), id="too large"),
        pytest.param(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-4,)}", b"1234" * 4), id="negative"),
        pytest.param(npy("{'descr': 'f99', 'fortran_order': False, 'shape': ()}"), id="no dtype"),
        pytest.param(npy("{[]: 1}"), id="unhashable"),
        pytest.param(npy("{'descr': "), id="unfinished"),
        pytest.param(npy("(" * 9000), id="deep"),
        pytest.param(npy("__import__('os').system('true')"), id="code"),
    ],
)
def test_golden_members_that_are_no_arrays(
    parts: BundleParts, repacked: Callable[[], Path], contents: Contents, data: bytes
) -> None:
    parts.members[GOLDEN] = data
    with Bundle(repacked()) as opened, pytest.raises(BundleError, match=f"'{GOLDEN}' is not a plain array: ."):
        opened.golden("input", contents.artifact.inputs)
