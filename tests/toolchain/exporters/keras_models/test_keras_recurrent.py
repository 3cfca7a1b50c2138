"""Recurrent layers of Keras at any length, batch and mask; those that ONNX has no operator for at a fixed length."""

from __future__ import annotations

import os
from collections import Counter

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from variants import make

from runtimes.errors import UsageError
from runtimes.profile import QuantizationScheme
from runtimes.verification.golden import relative_error
from toolchain.exporters.keras_models.export_model import export_model
from toolchain.models.onnx_model import load_ir
from toolchain.recipes.recipe import Recipe

os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras", reason="keras is not installed")
L = keras.layers

LAYERS = {
    "LSTM": (lambda: L.LSTM(5), False),
    "GRU of any steps, masked": (lambda: L.GRU(5, use_bias=False, go_backwards=True, return_sequences=True), True),
    "LSTM, masked": (lambda: L.LSTM(5, recurrent_dropout=0.2), True),
    "both ways": (lambda: L.Bidirectional(L.LSTM(5, return_sequences=True)), False),
    "both ways, masked": (lambda: L.Bidirectional(L.GRU(5)), True),
}


def reader(layer, length=None, mask=False):
    """An embedding, a layer and a dense one; 0 is the padding where there is a mask."""
    keras.utils.set_random_seed(0)
    tokens = keras.Input((length,), dtype="int32", name="tokens")
    steps = layer(L.Embedding(6, 3, mask_zero=mask)(tokens))
    heads = [L.Dense(2)(each) for each in (steps if isinstance(steps, (list, tuple)) else [steps])]
    net = keras.Model(tokens, heads)
    for weight in net.weights:  # biases are 0 at first, which would hide their order
        if weight.dtype == "float32":
            weight.assign(np.random.default_rng(weight.shape[0]).uniform(-1, 1, weight.shape))
    return net


def differences(net, session, tokens):
    with torch.no_grad():
        expected = net(torch.from_numpy(tokens), training=False)
    outputs = session.run(None, {"tokens": tokens})
    flat = expected if isinstance(expected, (list, tuple)) else [expected]
    return [float(np.abs(array - each.numpy()).max()) for array, each in zip(outputs, flat)]


@pytest.fixture(scope="module", params=LAYERS)
def exported(request, tmp_path_factory):
    build, mask = LAYERS[request.param]
    net = reader(build(), mask=mask)
    model = export_model(net, "net", (), tmp_path_factory.mktemp("net") / "net.onnx")
    return net, model, ort.InferenceSession(model.path)


@settings(max_examples=15, deadline=None)
@given(batch=st.integers(1, 5), length=st.integers(1, 20), seed=st.integers(0, 1000))
def test_lstm_and_gru_are_right_at_every_size_and_with_any_mask(exported, batch, length, seed):
    net, model, session = exported
    tokens = np.random.default_rng(seed).integers(0, 6, (batch, length)).astype(np.int32)
    tokens[0, : seed % (length + 1)] = 0  # up to a sequence of padding alone
    assert max(differences(net, session, tokens)) <= 1e-5
    assert str(model.inputs[0]) == "tokens=int32[N,T]"


def test_they_are_operators(exported):
    _, model, _ = exported
    ops = Counter(node.op_type for node in load_ir(model.path).graph)
    assert ops["LSTM"] + ops["GRU"] in (1, 2)


def test_an_lstm_of_a_fixed_length_computes_in_integers(tmp_path):
    net = keras.Sequential([keras.Input((8, 16), name="x"), L.LSTM(64), L.Dense(4)])
    exported = export_model(net, "net", (), tmp_path / "net.onnx")
    recipe = Recipe("int8-dynamic", None, QuantizationScheme(contrib_ops=True))
    samples = {"x": np.random.default_rng(0).standard_normal((16, 8, 16)).astype(np.float32)}
    _, quantized = make(tmp_path, onnx.load(exported.path), recipe, samples)
    assert any(node.op_type == "DynamicQuantizeLSTM" for node in load_ir(quantized.path).graph)
    computed, wanted = (ort.InferenceSession(model.path).run(None, samples)[0] for model in (quantized, exported))
    assert relative_error(computed, wanted) <= 3e-2


OTHERS = {
    "SimpleRNN, masked": (lambda: L.SimpleRNN(5, return_sequences=True), True),
    "another GRU": (lambda: L.GRU(5, reset_after=False, activation="relu"), False),
    "states and a mask": (lambda: L.LSTM(5, return_sequences=True, return_state=True), True),
    "cells, backwards": (lambda: L.RNN([L.LSTMCell(5), L.GRUCell(4)], go_backwards=True), True),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_layers_are_right_at_a_fixed_length_and_any_batch(tmp_path, name):
    build, mask = OTHERS[name]
    net = reader(build(), length=2, mask=mask)
    model = export_model(net, "net", (), tmp_path / "net.onnx")
    session = ort.InferenceSession(model.path)
    assert str(model.inputs[0]) == "tokens=int32[N,2]"
    for batch in (1, 5):
        tokens = np.random.default_rng(batch).integers(0, 3, (batch, 2)).astype(np.int32)
        assert max(differences(net, session, tokens)) <= 1e-5


def test_other_layers_refuse_a_dynamic_length_by_its_name(tmp_path):
    samples = {"tokens": np.ones((2, 3), np.int32)}
    with pytest.raises(UsageError, match="'net' takes only 3 for dimension 'T' of input 'tokens'"):
        export_model(reader(L.SimpleRNN(5)), "net", (), tmp_path / "net.onnx", samples)


def test_a_layer_outside_an_export_stays_as_it_is(tmp_path):
    before = L.LSTM.inner_loop, L.GRU.inner_loop, L.RNN.inner_loop, L.BatchNormalization.call
    export_model(keras.Sequential([keras.Input((3,)), L.Dense(2)]), "net", (), tmp_path / "net.onnx")
    assert before == (L.LSTM.inner_loop, L.GRU.inner_loop, L.RNN.inner_loop, L.BatchNormalization.call)
