"""Packing: the distributions that a bundle carries, and the writing of its file."""
