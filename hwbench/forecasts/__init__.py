"""Forecasts of latency for devices that nobody measured, from those that were measured."""
