"""Silero VAD, convolutions and an LSTM, judged on telling speech from noise, frame by frame.

Model: silero_vad.onnx of silero-vad 6.2.3 (MIT); it has 25 `If` nodes, and its weights are in Constant nodes. Speech:
Debian's asterisk-core-sounds-en-wav, one speaker's telephone prompts of 8 kHz.

The model carries a state from frame to frame. A sample here is one frame with the state that the fp32 model had
reached before it, so that one inference is one sample; what errors in a candidate's own state add up to over a
recording is not measured.
"""

from __future__ import annotations

import shutil
import sys
import wave
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort
from scipy.signal import resample_poly

# So that `--metric benchmarks/zoo/silero.py:score` finds the package from anywhere.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from benchmarks.zoo import ZooModel, _fetch, _samples
from runtimes.tensors import Array

FOLDER = "zoo/silero-1"  # one more whenever what prepare() writes changes
_RATE = 16_000  # samples a second
_FRAME, _CONTEXT = 512, 64  # samples: a frame, and the end of the one before, which the model sees again
_SPEECH_DB = 35  # a frame within so much of the recording's loudest is speech
_NOISE_DB = 10  # speech over added white noise
_EVALUATION_RECORDINGS, _CALIBRATION_RECORDINGS, _CALIBRATION_N = 40, 20, 512


def prepare(cache: Path | None = None) -> ZooModel:
    """Copy the model, and cut the recordings into frames.

    Raises:
        FetchError: a package cannot be fetched.
    """
    folder = _fetch.once(_fetch.cache_root(cache) / FOLDER, lambda folder: _make(folder, cache))
    return ZooModel(
        name="silero",
        onnx=folder / "model.onnx",
        calibration=folder / "calibration.npz",
        evaluation=folder / "evaluation.npz",
        metric=f"{Path(__file__).resolve()}:score",
        expected_score=0.938,
        note="Frames of 32 ms, each with the state that the fp32 model had before it; loud frames are called speech.",
    )


def score(outputs: Mapping[str, Array], labels: Array) -> Array:
    """1 or 0 per frame: whether the first output, the probability of speech, is on the label's side of a half."""
    right: Array = (next(iter(outputs.values())).reshape(len(labels)) > 0.5) == (labels == 1)
    return right


def _make(folder: Path, cache: Path | None) -> None:
    package = _fetch.wheel("silero-vad", "6.2.3", cache)
    shutil.copy(package / "silero_vad" / "data" / "silero_vad.onnx", folder / "model.onnx")
    sounds = _fetch.debian("asterisk-core-sounds-en-wav", cache) / "usr/share/asterisk/sounds/en_US_f_Allison"
    rng = np.random.default_rng(0)
    prompts = _prompts(sounds)
    selected = [prompts[i] for i in rng.permutation(len(prompts))[: _EVALUATION_RECORDINGS + _CALIBRATION_RECORDINGS]]
    evaluation, labels = _frames(selected[:_EVALUATION_RECORDINGS], folder / "model.onnx", rng)
    others, speech = _frames(selected[_EVALUATION_RECORDINGS:], folder / "model.onnx", rng)
    rows = rng.permutation(len(speech))[:_CALIBRATION_N]
    _samples.write(folder, {name: array[rows] for name, array in others.items()}, evaluation, labels)


def _prompts(sounds: Path) -> list[Path]:
    """Spoken recordings of one to eight seconds."""
    not_speech = ("beep", "tone", "monkeys")
    files = [file for file in sorted(sounds.glob("*.wav")) if not any(word in file.name for word in not_speech)]
    return [file for file in files if _RATE < len(_recording(file)) < 8 * _RATE]


def _recording(file: Path) -> Array:
    """float32 in [-1, 1], 16,000 samples a second."""
    with wave.open(str(file)) as reader:
        pcm = np.frombuffer(reader.readframes(reader.getnframes()), dtype="<i2")
        rate = reader.getframerate()
    return np.asarray(resample_poly(pcm.astype(np.float32) / 32768, _RATE // rate, 1), dtype=np.float32)


def _frames(files: Sequence[Path], model: Path, rng: np.random.Generator) -> tuple[dict[str, Array], Array]:
    """All frames of the recordings: input [n, 1, 576], state [n, 2, 1, 128], sr [n]; and which are speech [n]."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3  # the model's own unused branches are warned about
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    inputs, states, labels = [], [], []
    for file in files:
        noisy, speech = _noisy(_recording(file), rng)
        state, context = np.zeros((2, 1, 128), np.float32), np.zeros(_CONTEXT, np.float32)
        for frame in noisy:
            heard = np.concatenate([context, frame])[None]
            inputs.append(heard)
            states.append(state)
            _, state = session.run(None, {"input": heard, "state": state, "sr": np.array(_RATE, np.int64)})
            context = frame[-_CONTEXT:]
        labels.append(speech)
    sr = np.full(len(inputs), _RATE, dtype=np.int64)
    return {"input": np.stack(inputs), "state": np.stack(states), "sr": sr}, np.concatenate(labels)


def _noisy(recording: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """The recording between half seconds of silence, with noise over it all: [n, 512], and which frames are speech."""
    silence = np.zeros(_RATE // 2, dtype=np.float32)
    clean = np.concatenate([silence, recording / (2 * np.abs(recording).max()), silence])
    clean = clean[: len(clean) // _FRAME * _FRAME].reshape(-1, _FRAME)
    power = (clean**2).mean(axis=1)
    speech = power > power.max() / 10 ** (_SPEECH_DB / 10)
    noise = rng.normal(0, np.sqrt(power[speech].mean() / 10 ** (_NOISE_DB / 10)), clean.shape)
    return (clean + noise).astype(np.float32), speech.astype(np.int64)
