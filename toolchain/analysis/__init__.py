"""Analysis of a model: where it loses accuracy or saturates, what it computes, and where its time goes."""
