"""Plans of TensorRT engines: the abilities of each release and chip, and the build settings for a device."""
