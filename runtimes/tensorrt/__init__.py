"""TensorRT engines: building them, storing them, and running them.

The packages `tensorrt` and `tensorrt_rtx` have nearly the same API, so functions take either module as an argument
(`trt`); only the backends import them.
"""
