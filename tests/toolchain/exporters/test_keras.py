"""Models of Keras 3 on PyTorch: factories, and saved files."""

from __future__ import annotations

import os

import numpy as np
import onnxruntime as ort
import pytest

os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras")

from runtimes.errors import UsageError  # noqa: E402
from toolchain.sources.input_specs import parse_input  # noqa: E402
from toolchain.sources.open_source import open_source  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # of Keras's own


def cnn():
    keras.utils.set_random_seed(0)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((28, 28, 1), name="image"),
            layers.Conv2D(4, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )


def reader():
    keras.utils.set_random_seed(0)
    layers = keras.layers
    return keras.Sequential(
        [keras.Input((6,), dtype="int64", name="tokens"), layers.Embedding(9, 4), layers.LSTM(5), layers.Dense(3)]
    )


def generator():
    keras.utils.set_random_seed(0)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8,), name="noise"),
            layers.Dense(7 * 7 * 4),
            layers.BatchNormalization(),
            layers.LeakyReLU(),
            layers.Reshape((7, 7, 4)),
            layers.Conv2DTranspose(2, 5, strides=2, padding="same"),
            layers.Conv2DTranspose(1, 5, strides=2, padding="same", activation="tanh"),
        ]
    )


def discriminator():
    keras.utils.set_random_seed(0)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((28, 28, 1), name="picture"),
            layers.Conv2D(4, 5, strides=2, padding="same"),
            layers.LeakyReLU(),
            layers.Dropout(0.3),
            layers.Flatten(),
            layers.Dense(1),
        ]
    )


def both():
    keras.utils.set_random_seed(0)
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    return keras.Model([a, b], {"sum": a + b, "dense": keras.layers.Dense(2)(a - b)})


@pytest.mark.parametrize(
    ("factory", "spec", "outputs"),
    [
        (cnn, "image=float32[N,28,28,1]", ["output=float32[N,10]"]),
        (reader, "tokens=int64[N,6]", ["output=float32[N,3]"]),
        (generator, "noise=float32[N,8]", ["output=float32[N,28,28,1]"]),
        (discriminator, "picture=float32[N,28,28,1]", ["output=float32[N,1]"]),
    ],
)
def test_models_of_the_tutorials(tmp_path, factory, spec, outputs):
    """A saved model is as its factory's, and needs no --input."""
    factory().save(tmp_path / "net.keras")
    saved = open_source(str(tmp_path / "net.keras"), (), tmp_path / "saved.onnx")
    made = open_source(f"{__name__}:{factory.__name__}", (parse_input(spec),), tmp_path / "made.onnx")
    assert saved.inputs == made.inputs == (parse_input(spec),)
    assert [str(each) for each in made.outputs] == [str(each) for each in saved.outputs] == outputs


def test_several_inputs(tmp_path):
    both().save(tmp_path / "net.keras")
    specs = tuple(map(parse_input, ("a=float32[N,3]", "b=float32[N,3]")))
    for source, given in ((str(tmp_path / "net.keras"), ()), (f"{__name__}:both", specs)):
        model = open_source(source, given, tmp_path / "m.onnx")
        assert model.inputs == specs
        feed = {"a": np.ones((2, 3), np.float32), "b": np.full((2, 3), 2, np.float32)}
        assert (ort.InferenceSession(model.path).run(["sum"], feed)[0] == 3).all()


def test_a_length_that_is_unrolled_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"takes only 8 for dimension 'T' of input 'tokens'.* fixed at .*rnn\.py"):
        open_source(f"{__name__}:any_length", (parse_input("tokens=int64[N,T]"),), tmp_path / "m.onnx")


def any_length():
    layers = keras.layers
    return keras.Sequential([keras.Input((None,), dtype="int64"), layers.Embedding(9, 4), layers.LSTM(5)])


def test_what_is_no_keras_model_is_refused(tmp_path):
    (tmp_path / "net.keras").write_bytes(b"nothing")
    with pytest.raises(UsageError, match="cannot be read as a Keras model"):
        open_source(str(tmp_path / "net.keras"), (), tmp_path / "m.onnx")
