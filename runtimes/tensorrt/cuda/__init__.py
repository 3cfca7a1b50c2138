"""The part of CUDA that running an engine takes: memory, copies, streams, events, graphs.

One file per binding, each with `open_memory() -> DeviceMemory`.
"""
