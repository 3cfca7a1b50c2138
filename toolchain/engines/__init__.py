"""Planning TensorRT engines: what each release and chip can do, and how a device's engine is to be built."""
