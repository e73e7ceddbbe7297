"""The names that file stores had first."""

from toil.exceptions import IllegalDeletionCacheError
from toil.fileStores import FileID
from toil.fileStores.abstractFileStore import AbstractFileStore

FileStore = AbstractFileStore

__all__ = ["FileID", "FileStore", "IllegalDeletionCacheError"]
