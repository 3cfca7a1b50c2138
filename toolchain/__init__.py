"""From a trained model to a bundle: export, quantize, build, search, pack."""
