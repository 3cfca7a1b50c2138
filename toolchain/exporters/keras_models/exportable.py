"""Layers of Keras that compute in an export what they always do, in another form."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from unittest import mock

from toolchain.exporters.keras_models import normalization, recurrent_layers
from toolchain.exporters.keras_models.package import imported


@contextlib.contextmanager
def exportable() -> Iterator[None]:
    """Replace methods of layers in exports, if Keras is imported; outside an export they compute as ever."""
    keras = imported()
    with contextlib.ExitStack() as stack:
        if keras is not None:
            layers = keras.layers
            for layer, operator in (
                (layers.RNN, None),
                (layers.LSTM, recurrent_layers.lstm),
                (layers.GRU, recurrent_layers.gru),
            ):
                replaced = recurrent_layers.inner_loop(layer.inner_loop, operator)
                stack.enter_context(mock.patch.object(layer, "inner_loop", replaced))
            batch_norm = layers.BatchNormalization
            stack.enter_context(mock.patch.object(batch_norm, "call", normalization.call(batch_norm.call)))
        yield
