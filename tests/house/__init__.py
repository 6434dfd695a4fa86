"""Tests of what is around the code: packaging, examples, documents, scripts."""
