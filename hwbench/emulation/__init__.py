"""Emulated processors: QEMU's user mode runs the runtimes of another processor on this machine, for their outputs."""
