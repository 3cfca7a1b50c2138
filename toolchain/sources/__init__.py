"""Sources on the command line: which exporter reads one, and how its inputs are described."""
