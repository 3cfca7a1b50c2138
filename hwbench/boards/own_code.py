"""Our own code as a board gets it: the package `runtimes`, which is all that has to be there beside NumPy."""

from __future__ import annotations

import zipfile
from pathlib import Path

import runtimes
from hwbench.boards.calls import SentFile, sent_file

_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # zip's first date; with the files' own, the digest would change with each checkout


def pack_runtimes(archive: Path) -> SentFile:
    """Write the package `runtimes` to a zip, whose bytes depend on nothing but the code."""
    root = Path(runtimes.__file__).parent
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        for file in sorted(root.rglob("*.py")):
            info = zipfile.ZipInfo(str(Path("runtimes", file.relative_to(root))), _LONG_AGO)
            info.compress_type = zipfile.ZIP_DEFLATED
            opened.writestr(info, file.read_bytes())
    return sent_file(archive, "runtimes.zip")
