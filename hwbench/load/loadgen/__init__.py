"""MLPerf Inference's load on a model: `python -m hwbench.load.loadgen` runs LoadGen in a process of its own.

The model is opened by `runtimes.load`, as on the device. Needs `mlcommons-loadgen`, the extra `loadgen`.
"""
