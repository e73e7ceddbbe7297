"""This engine and the limits of the machine, doing the cases."""
