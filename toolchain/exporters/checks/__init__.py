"""What an export is checked for: the inputs that were declared, the values and the outputs, at several sizes."""
