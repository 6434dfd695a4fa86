"""Doors: payloads from outside to values, and values to payloads."""
