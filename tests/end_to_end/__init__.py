"""Tests of the whole loop: nothing in them is a fake but the devices."""
