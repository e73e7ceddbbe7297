"""What scripts import from here."""

from toil.exceptions import DeadlockException, FailedJobsException

__all__ = ["DeadlockException", "FailedJobsException"]
