"""Where jobs run: the fork server, one attempt, and its measurement."""
