"""Deciding: from scored candidates to act, clarify or reject; no I/O, no clock, no global randomness."""
