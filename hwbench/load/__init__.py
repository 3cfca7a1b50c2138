"""Load as MLPerf Inference defines it: scenarios, and the largest rate of arrivals that holds a bound."""
