"""Jobs on Dask distributed. Dask finds the nodes, carries requests and commits, and guards resources; the worker host runs the work."""
