"""What a person looks at: progress, status and logs of runs."""
