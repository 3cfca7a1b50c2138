"""What recovers accuracy, one method per file: `correct(model, recipe, ranges, specs, arrays) -> (ir.Model, int)`.

A correction changes the float model so that its int8 form comes closer to what the float model computed. It keeps the
model's nodes and their names, uses the calibration samples, and says how many operators it changed. Its file declares
`STAGE`: "before" calibration, where it changes what activations hold, or "after" it, where it leaves that alone.
One whose change is wrong for a node that stays in float has `undo(model, reference, nodes) -> ir.Model`.
"""
