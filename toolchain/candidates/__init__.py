"""Candidates, which could ship: the list of those to try, their build, and their score."""
