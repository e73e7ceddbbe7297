"""A simulated world in which everything goes wrong that can, on purpose and again exactly the same by its seed."""
