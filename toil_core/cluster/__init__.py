"""Machines: launching, reaching, scaling and removing them."""
