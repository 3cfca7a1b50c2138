"""Processes that are stopped or killed: what ends with them, and what they leave."""
