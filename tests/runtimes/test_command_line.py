"""Exit codes and output of the commands that measure."""

from __future__ import annotations

import numpy as np

from runtimes.command_line import exit_code


def test_too_little_memory_is_a_sentence(capsys):
    assert exit_code(lambda: len(np.empty(1 << 60, np.uint8))) == 2
    said = capsys.readouterr().err
    assert said.startswith("Error: There is too little memory: Unable to allocate 1.00 EiB")
    assert len(said.splitlines()) == 1
