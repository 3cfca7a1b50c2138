"""Keras models: the package on torch, the signature of a model, and its recurrent layers in an export."""
