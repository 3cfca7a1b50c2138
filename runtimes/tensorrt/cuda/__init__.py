"""The part of CUDA that an engine session needs: memory, copies, streams, events, graphs.

Each module is one Python binding of CUDA, with `open_memory() -> DeviceMemory`.
"""
