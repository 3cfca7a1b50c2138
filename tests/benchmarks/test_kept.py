import math
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # benchmarks/ is not in the wheel

from benchmarks import kept
from benchmarks.contender import Contender, print_summary

FLOAT = Contender("ORT fp32", Path("a.onnx"), "onnxruntime", 0.0, 0.0, "", 0.9, 0.0, "", (4.0, 4.1))
NNCF = Contender("NNCF + OpenVINO", Path("b.onnx"), "openvino", 3.0, 900.0, "", 0.9, 0.0, "", (2.0, 2.1))
BROKEN = Contender("ORT static", Path("c.onnx"), "onnxruntime", 1.0, 300.0, "Exception: no")
OURS = Contender("edgewright", Path("d.edge"), "edge", 60.0, 700.0, "", 0.9, 0.0, "int8 (openvino)", (1.9, 2.0))


def test_parts_come_back_as_they_were(tmp_path):
    file = tmp_path / "peers.json"
    measured = {("g2p", 1): [FLOAT, BROKEN, OURS], ("g2p", 2): [FLOAT, NNCF, OURS]}
    kept.write(file, "here", measured)
    again = kept.read(file, "here")
    assert list(again) == list(measured)
    assert again["g2p", 2] == measured["g2p", 2]
    assert again["g2p", 1][1].failure == "Exception: no" and math.isnan(again["g2p", 1][1].score)
    assert [path.name for path in tmp_path.iterdir()] == ["peers.json"]


def test_parts_of_two_machines_do_not_mix(tmp_path):
    file = tmp_path / "peers.json"
    assert kept.read(file, "here") == {}
    kept.write(file, "here", {("g2p", 1): [FLOAT]})
    with pytest.raises(SystemExit, match="is of 'here', this is 'elsewhere'; give another file to --keep"):
        kept.read(file, "elsewhere")


def test_summary_adds_up_what_making_cost(capsys):
    print_summary({("g2p", 1): [FLOAT, BROKEN, NNCF, OURS], ("silero", 1): [FLOAT, NNCF, OURS]}, ["g2p"])
    said = capsys.readouterr().out
    assert "ours    1.950 ms, best peer    2.050 ms (NNCF + OpenVINO)" in said and "never slower" in said
    assert "made in all: ours 120 s, the peers' flows 7 s" in said
    assert "peak memory, summed over models: ours 1.4 GB, the peers' flows 2.1 GB" in said
