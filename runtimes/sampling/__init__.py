"""Raw samples of a running model: latencies, memory, energy, and the conditions of the system."""
