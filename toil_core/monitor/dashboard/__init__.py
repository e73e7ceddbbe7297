"""A page in a browser that follows a workflow as it runs."""
