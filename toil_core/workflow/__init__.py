"""What a user writes: jobs, promises, files and requirements."""
