"""Helpers that scripts use."""
