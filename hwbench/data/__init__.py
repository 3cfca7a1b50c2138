"""Samples and code that users bring: datasets in .npz files, and functions in files of their own."""
