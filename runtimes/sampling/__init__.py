"""Raw samples of a running model: latencies, memory, energy, and the state of the system meanwhile."""
