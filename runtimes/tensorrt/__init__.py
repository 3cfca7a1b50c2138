"""TensorRT engines: what is to be built (`plan`), building it (`build`), and running it (`session`).

`tensorrt` and `tensorrt_rtx` offer nearly one API, so the module of either is an argument here; the backends import it.
"""
