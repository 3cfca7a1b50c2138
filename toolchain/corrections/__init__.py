"""What recovers accuracy, one method per file: `correct(model, recipe, ranges, specs, arrays) -> ir.Model`.

A correction changes the float model so that its int8 form comes closer to what the float model computed. It
keeps the model's nodes and their names, and runs after calibration, on the same samples.
"""
