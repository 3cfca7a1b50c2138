"""What takes a package beyond NumPy and a runtime, imported when it is asked for; each has an extra of its own."""
