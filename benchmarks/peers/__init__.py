"""Adapters: each engine doing the cases in its own usual way, and the environments they run in."""
