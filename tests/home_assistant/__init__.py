"""Tests against a real Home Assistant; `make test-ha` runs them."""
