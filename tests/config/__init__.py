"""Tests of the configuration and the command line."""
