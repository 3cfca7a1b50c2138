"""A rack: the boards behind a Dask scheduler, each a worker whose resources name what it is."""
