"""Candidates, which could ship: listing them, building one, and scoring it."""
