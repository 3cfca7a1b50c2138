"""Recipes: what precision a model gets and where, and applying one to a model."""
