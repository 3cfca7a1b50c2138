"""One file per runtime: `build(model, recipe, settings, out) -> Artifact` and `versions()`.

Builders never look at the precision: it lives in the graph.
"""
