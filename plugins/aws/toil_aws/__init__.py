"""Amazon Web Services for toil-core."""

__version__ = "0.1.0"
