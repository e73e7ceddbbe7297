"""What scripts import from here."""

from toil.exceptions import DeadlockException

__all__ = ["DeadlockException"]
