"""Homes: where the home and its live states come from."""
