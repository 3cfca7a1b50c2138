"""Results of a build or a measurement, one per profile and candidate, and their history."""
