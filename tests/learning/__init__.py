"""Tests of rewards, attribution and the stores."""
