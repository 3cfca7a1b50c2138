"""Records keep evenly spaced numbers in memory that does not grow."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from runtimes.sampling.records import Records


@given(capacity=st.integers(1, 20), count=st.integers(0, 500))
def test_what_is_kept_is_evenly_spaced_and_at_least_half_of_what_fits(capacity, count):
    records = Records(capacity)
    before = records.nbytes
    for value in range(count):
        records.add(value)
    kept = records.values()
    size = capacity + capacity % 2
    assert (records.count, records.nbytes) == (count, before)
    assert len(kept) == count if count <= size else size // 2 <= len(kept) <= size
    step = kept[1] if len(kept) > 1 else 1
    assert kept == tuple(range(0, count, step))[: len(kept)]
    assert not kept or count - kept[-1] <= step
