"""What came of a run, as numbers and as one page that needs nothing but a browser."""
