"""Instructions that an inference takes, by the processor's counters or under valgrind."""
