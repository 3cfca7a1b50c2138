"""A sweep: models x devices x precisions, each cell a build of its own, on this machine's cores or on a rack."""
