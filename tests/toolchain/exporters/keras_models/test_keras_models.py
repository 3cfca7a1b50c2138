"""Keras models as tutorials teach them: what they compute after an export, and how they are described."""

from __future__ import annotations

import os
from collections import Counter
from textwrap import dedent

import numpy as np
import onnxruntime as ort
import pytest
import torch

from runtimes.errors import UsageError
from runtimes.tensors import TensorSpec
from toolchain.exporters import module
from toolchain.exporters.keras_models.export_model import export_model
from toolchain.models.onnx_model import load_ir
from toolchain.models.prepare import prepare
from toolchain.sources.input_specs import example_samples, parse_input
from toolchain.sources.open_source import open_source

os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras", reason="keras is not installed")
L = keras.layers
# Keras writes files with h5py, which asks tensors for arrays in NumPy's former way.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(autouse=True)
def _same_weights_and_names():
    keras.utils.set_random_seed(0)
    keras.utils.clear_session(free_memory=False)


def classifier():
    """The CNN for 28x28x1, with batch norm in both usual places."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1), name="image"),
            L.Conv2D(4, 3, use_bias=False),
            L.BatchNormalization(),
            L.ReLU(),
            L.MaxPooling2D(2),
            L.Conv2D(4, 3, strides=2, padding="same", activation="relu"),
            L.BatchNormalization(),
            L.Flatten(),
            L.Dropout(0.5),
            L.Dense(10, activation="softmax", name="digit"),
        ]
    )


def generator():
    return keras.Sequential(
        [
            keras.Input((16,), name="latent"),
            L.Dense(7 * 7 * 4, use_bias=False),
            L.BatchNormalization(),
            L.LeakyReLU(negative_slope=0.2),
            L.Reshape((7, 7, 4)),
            L.Conv2DTranspose(4, 5, strides=2, padding="same", use_bias=False),
            L.UpSampling2D(),
            L.Conv2DTranspose(1, 4, padding="same", activation="tanh", name="image"),
        ]
    )


def discriminator():
    return keras.Sequential(
        [
            keras.Input((28, 28, 1), name="image"),
            L.Conv2D(4, 5, strides=2, padding="same"),
            L.LeakyReLU(negative_slope=0.2),
            L.Dropout(0.3),
            L.GlobalMaxPooling2D(),
            L.Dense(1, name="real"),
        ]
    )


def segmenter():
    image = keras.Input((None, None, 3), name="image")
    x = L.Conv2D(4, 3, padding="same", activation="relu")(image)
    return keras.Model(image, L.Conv2DTranspose(2, 2, strides=2, name="mask")(x))


def transformer():
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    x = L.Embedding(20, 8, mask_zero=True)(tokens)
    x = L.LayerNormalization()(x + L.MultiHeadAttention(2, 4)(x, x))
    return keras.Model(tokens, L.Dense(2, name="score")(L.GlobalAveragePooling1D()(x)))


def run(model, feeds):
    return ort.InferenceSession(model.path).run(None, feeds)


def expected(net, *arrays):
    with torch.no_grad():
        return net(*map(torch.from_numpy, arrays), training=False).numpy()


@pytest.mark.parametrize(
    ("build", "inputs", "outputs"),
    [
        (classifier, ["image=float32[N,28,28,1]"], ["digit=float32[N,10]"]),
        (generator, ["latent=float32[N,16]"], ["image=float32[N,28,28,1]"]),
        (discriminator, ["image=float32[N,28,28,1]"], ["real=float32[N,1]"]),
        (segmenter, ["image=float32[N,H,W,3]"], ["mask=float32[N,2*H,2*W,2]"]),
        (transformer, ["tokens=int32[N,T]"], ["score=float32[N,2]"]),
    ],
)
def test_a_saved_model_needs_no_description(tmp_path, build, inputs, outputs):
    net = build()
    net.save(tmp_path / "net.keras")
    model = open_source(str(tmp_path / "net.keras"), (), tmp_path / "net.onnx")
    assert list(map(str, model.inputs)) == inputs
    assert list(map(str, model.outputs)) == outputs
    for size in (1, 3):
        sized = [TensorSpec(spec.name, spec.dtype, spec.resolve({"H": 6, "W": 10, "T": 5})) for spec in model.inputs]
        feeds = {name: array[0] for name, array in example_samples(sized, 1, seed=size).items()}
        assert np.allclose(run(model, feeds)[0], expected(net, *feeds.values()), atol=1e-5)


def test_batch_norm_folds_into_the_convolution_before_it(tmp_path):
    model = export_model(classifier(), "net", (), tmp_path / "net.onnx")
    ops = [node.op_type for node in prepare(model).graph]
    assert ops[: ops.index("MaxPool")] in (["Transpose", "Conv", "Relu"], ["Reshape", "Conv", "Relu"])


def test_dropout_and_batch_norm_of_a_class_that_trains_by_default_are_in_inference_mode(tmp_path):
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.drop, self.norm = L.Dropout(0.5), L.BatchNormalization()

        def call(self, left, right, training=True, mask=None):
            return {"sum": self.norm(self.drop(left, training=training), training=training) + right}

    net = Net()
    inputs = (parse_input("right=float32[N,3]"), parse_input("left=float32[N,3]"))
    model = export_model(net, "net", inputs, tmp_path / "net.onnx")
    left, right = np.ones((4, 3), np.float32), np.full((4, 3), 2, np.float32)
    assert [spec.name for spec in model.outputs] == ["sum"]
    assert np.allclose(run(model, {"left": left, "right": right})[0], 3, atol=1e-2)


def test_outputs_of_one_layer_are_numbered_and_those_of_a_dict_keep_its_keys(tmp_path):
    tokens, extra = keras.Input((None,), dtype="int32", name="tokens"), keras.Input((3,), name="extra")
    steps, hidden, carry = L.LSTM(4, return_sequences=True, return_state=True, name="reader")(L.Embedding(9, 3)(tokens))
    listed = keras.Model([tokens, extra], [steps, carry, L.Dense(1, name="score")(L.Concatenate()([hidden, extra]))])
    model = export_model(listed, "net", (), tmp_path / "listed.onnx")
    assert list(map(str, model.inputs)) == ["tokens=int32[N,T_tokens]", "extra=float32[N,3]"]
    assert [spec.name for spec in model.outputs] == ["reader_0", "reader_1", "score"]
    named = keras.Model({"tokens": tokens, "extra": extra}, {"tags": steps, "last": hidden * 2 + extra[:, :1]})
    model = export_model(named, "net", (), tmp_path / "named.onnx")
    assert sorted(spec.name for spec in model.inputs) == ["extra", "tokens"]
    assert [spec.name for spec in model.outputs] == ["last", "tags"]


def test_an_input_of_the_users_replaces_names_and_open_sizes_and_cannot_open_a_fixed_one(tmp_path):
    net = segmenter()
    model = export_model(net, "net", (parse_input("photo=float32[B,16,C,3]"),), tmp_path / "net.onnx")
    assert list(map(str, model.inputs)) == ["photo=float32[B,16,C,3]"]
    for text in ("image=float32[N,H,W,D]", "image=float32[N,H,3]"):
        words = r"^'net' takes image=float32\[N,H,W,3\]; --input '.*' does not fit\. Write it like --input 'image="
        with pytest.raises(UsageError, match=words):
            export_model(net, "net", (parse_input(text),), tmp_path / "net.onnx")
    two = (parse_input("a=float32[N,8,8,3]"), parse_input("b=float32[N,3]"))
    with pytest.raises(UsageError, match="describe each with an --input, or none"):
        export_model(net, "net", two, tmp_path / "net.onnx")


def test_a_file_with_code_in_it_is_refused(tmp_path):
    net = keras.Sequential([keras.Input((3,)), L.Lambda(lambda x: x * 2)])
    net.save(tmp_path / "net.keras")
    with pytest.raises(UsageError, match=r"holds Python code \(as in a Lambda layer\), which .*FILE\.py:FACTORY"):
        open_source(str(tmp_path / "net.keras"), (), tmp_path / "net.onnx")


def test_a_file_that_needs_a_class_of_the_users_is_refused(tmp_path):
    class Twice(L.Layer):
        def call(self, x):
            return x * 2

    keras.Sequential([keras.Input((3,)), Twice()]).save(tmp_path / "net.keras")
    with pytest.raises(UsageError, match=r"needs the class 'Twice', which is not part of Keras; .*FILE\.py:FACTORY"):
        open_source(str(tmp_path / "net.keras"), (), tmp_path / "net.onnx")


def test_a_state_between_calls_is_refused(tmp_path):
    net = keras.Sequential([keras.Input(batch_shape=(2, 5, 3)), L.LSTM(4, stateful=True, name="memory")])
    with pytest.raises(UsageError, match="Layer 'memory' of 'net' keeps its state between calls"):
        export_model(net, "net", (), tmp_path / "net.onnx")


def test_a_class_that_describes_no_inputs_asks_for_them(tmp_path):
    class Net(keras.Model):
        def call(self, x):
            return x * 2

    with pytest.raises(UsageError, match="'net' does not say what it takes; describe it, as in --input"):
        export_model(Net(), "net", (), tmp_path / "net.onnx")


FACTORY = """
import keras
import torch

class Wrapped(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.reader = keras.layers.GRU(3)
        self.reader.build((None, None, 2))

    def forward(self, x):
        return self.reader(x)

def make():
    return keras.Sequential([keras.Input((4,), name="x"), keras.layers.Dense(2, name="y")])
"""


def test_a_factory_returns_a_model_or_a_module_around_layers(tmp_path):
    (tmp_path / "net.py").write_text(dedent(FACTORY))
    model = module.export(f"{tmp_path / 'net.py'}:make", (), tmp_path / "net.onnx")
    assert list(map(str, (*model.inputs, *model.outputs))) == ["x=float32[N,4]", "y=float32[N,2]"]
    wrapped = (parse_input("x=float32[N,T,2]"),)
    model = module.export(f"{tmp_path / 'net.py'}:Wrapped", wrapped, tmp_path / "net.onnx")
    assert Counter(node.op_type for node in load_ir(model.path).graph)["GRU"] == 1
