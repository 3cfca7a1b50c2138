"""Candidates: what could ship. Building one, scoring it, and choosing among them."""
