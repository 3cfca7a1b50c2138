"""Sources on the command line: their exporters, their samples, and the descriptions of their inputs."""
