"""Instructions of an inference: a figure that is the same however busy the machine is."""
