"""Measurements of one artifact: latency, accuracy, memory, the roofline; and warnings about them."""
