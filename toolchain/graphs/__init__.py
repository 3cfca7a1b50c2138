"""What quantizers and corrections share about graphs: how to change them, and where integers pay."""
