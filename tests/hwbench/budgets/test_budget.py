"""The grammar of budgets, and that every refusal shows what would have been right."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwbench.budgets.budget import Budget, parse, parse_all
from hwbench.measurements.quantities import QUANTITIES
from runtimes.errors import UsageError

TIMES = {"us": 1e-3, "ms": 1.0, "s": 1e3}
SIZES = {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
GRAMMAR = {
    "p50": ("<=", TIMES),
    "p90": ("<=", TIMES),
    "p95": ("<=", TIMES),
    "p99": ("<=", TIMES),
    "p99.9": ("<=", TIMES),
    "load_time": ("<=", TIMES),
    "throughput": (">=", {"/s": 1}),
    "accuracy": (">=", {"": 1}),
    "accuracy_drop": ("<=", {"": 1}),
    "size": ("<=", SIZES),
    "peak_memory": ("<=", SIZES),
    "energy": ("<=", {"uJ": 1, "mJ": 1e3, "J": 1e6}),
}
EVERY_FORM = [(q, op, unit, scale) for q, (op, units) in GRAMMAR.items() for unit, scale in units.items()]


@pytest.mark.parametrize(("quantity", "operator", "unit", "scale"), EVERY_FORM)
def test_every_quantity_takes_each_of_its_units(quantity, operator, unit, scale):
    found = parse(f"{quantity}{operator}2.5{unit}")
    assert found == Budget(f"{quantity}{operator}2.5{unit}", quantity, pytest.approx(2.5 * scale))
    assert found.is_upper == (operator == "<=")


@pytest.mark.parametrize(
    ("text", "quantity", "limit"),
    [
        ("p90<=+5%", "p90", 0.05),
        ("p99.9<=-10%", "p99.9", -0.1),
        ("throughput>=-2.5%", "throughput", -0.025),
        ("size<=+0%", "size", 0.0),
        ("accuracy>=-1%", "accuracy", -0.01),
        ("peak_memory<=+150%", "peak_memory", 1.5),
        ("load_time <= + 5 %", "load_time", 0.05),
    ],
)
def test_a_signed_percentage_is_a_change_against_the_baseline(text, quantity, limit):
    assert parse(text) == Budget(text, quantity, pytest.approx(limit), relative=True)


@pytest.mark.parametrize(
    "text", ["p99 <= 10 ms", "  p99<=10ms\n", "p99<=\t10ms", "p99<=1e1ms", "p99<=10.ms", "p99<=010ms"]
)
def test_white_space_and_ways_to_write_a_number_do_not_matter(text):
    assert parse(text) == Budget(text.strip(), "p99", 10.0)


@pytest.mark.parametrize("text", ["accuracy>=-0.5", "accuracy>=+0.5", "accuracy_drop<=0", "accuracy>=0"])
def test_scores_may_be_zero_or_signed(text):
    assert parse(text).relative is False


MISTAKES = [
    "",
    " ",
    "10ms",
    "latency<=10ms",
    "P99<=10ms",
    "p999<=10ms",
    "p99\N{LESS-THAN OR EQUAL TO}10ms",
    "p99<=",
    "p99",
    "p99<10ms",
    "p99=10ms",
    "p99==10ms",
    "p99>=10ms",
    "p99<=10",
    "p99<=10 sec",
    "p99<=10MS",
    "p99<=10MB",
    "p99<=ten ms",
    "p99<=1,000ms",
    "p99<=1.2.3ms",
    "p99<=.ms",
    "p99<=1e999ms",
    "p99<=nan ms",
    "p99<=infms",
    "p99<=0ms",
    "p99<=-3ms",
    "p99<=+10ms",
    "p99<=10ms and p50<=5ms",
    "p90<=5%",
    "p90<=-100%",
    "throughput<=100/s",
    "throughput>=100",
    "throughput>=100/min",
    "throughput>=+100/s",
    "throughput>=-300%",
    "accuracy>=97%",
    "accuracy>=0.9x",
    "accuracy_drop<=+1%",
    "accuracy_drop>=0.01",
    "accuracy_drop<=-0.01",
    "size<=5",
    "size<=5mb",
    "size<=0MB",
    "peak_memory<=5ms",
    "load_time<=1min",
]


def test_a_budget_may_name_sizes():
    found = parse("p90@L=256,batch=2<=20ms")
    assert (found.quantity, found.limit, found.at, found.figure) == (
        "p90",
        20.0,
        {"L": 256, "batch": 2},
        "p90@L=256,batch=2",
    )
    assert parse("p90@L=256<=+5%").at == {"L": 256}
    assert len(parse_all(["p50@L=256<=20ms", "p90@L=16<=2ms", "p90<=1ms"])) == 3
    for texts in (["p90@L=16<=2ms", "p90@L=16<=3ms"], ["p50@L=16<=20ms", "p90@L=16<=2ms"]):
        with pytest.raises(UsageError, match=r"keep one\."):
            parse_all(texts)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("size@L=256<=5MB", "does not depend on the inputs' sizes"),
        ("accuracy@L=256>=0.5", "does not depend on the inputs' sizes"),
        ("p90@L=0<=5ms", "a size is from 1 to 999,999,999, as in p90@L=256"),
        (f"p90@L={'9' * 5_000}<=5ms", "a size is from 1 to 999,999,999, as in p90@L=256"),
        ("p90@L=8,L=16<=5ms", "gives L two sizes; keep one, or write two budgets"),
        ("p90@L<=5ms", "cannot be read"),
        ("p90@256<=5ms", "cannot be read"),
    ],
)
def test_sizes_of_a_budget_that_make_no_sense_are_refused(text, told):
    with pytest.raises(UsageError, match=told):
        parse(text)


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_quoted_beside_an_example_that_works(text):
    with pytest.raises(UsageError) as caught:
        parse(text)
    message = str(caught.value)
    assert f"Budget '{text}'" in message
    examples = [found.rstrip(".,;") for found in re.findall(r"(?:as in|like) (\S+)", message)]
    assert examples
    for example in examples:
        parsed = parse(example)
        written = re.match(r"[a-z0-9_.]+", text)
        if written and written[0] in GRAMMAR:
            assert parsed.quantity == written[0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("latency<=10ms", "unknown quantity 'latency'; choose from accuracy, accuracy_drop, p50, "),
        ("p99>=10ms", "p99 takes <="),
        ("p99<=10", "p99 takes one of the units us, ms, s, as in p99<=10ms."),
        ("accuracy>=0.9ms", "accuracy takes no unit"),
        ("p99<=1.2.3ms", "'1.2.3' is not a number"),
        ("p99<=0ms", "no model can meet it"),
        ("p90<=5%", "a change against the baseline has a sign, as in p90<=+5%."),
        ("throughput>=5%", "a change against the baseline has a sign, as in throughput>=-5%."),
        ("accuracy>=97%", "has a sign, as in accuracy>=-5%; a share is accuracy>=0.97."),
        ("p90<=+5ms", "a sign is for a change against a baseline"),
        ("p90<=-100%", "nothing shrinks by 100%"),
        ("accuracy_drop<=+1%", "write it like accuracy_drop<=0.01, or accuracy_drop<=1% of the source's value."),
        ("p90[mae]<=1ms", "brackets name the metric of an accuracy, as in accuracy_drop[mae]<=0.01"),
        ("accuracy_drop[]<=0.1", "brackets name the metric of an accuracy"),
    ],
)
def test_a_mistake_is_named(text, told):
    with pytest.raises(UsageError, match=re.escape(told)):
        parse(text)


def test_two_limits_on_one_quantity_are_refused():
    with pytest.raises(UsageError, match=re.escape("Budgets 'p99<=10ms' and 'p99 <= 5ms' limit the same quantity")):
        parse_all(["p99<=10ms", "p90<=10ms", "p99 <= 5ms"])
    with pytest.raises(UsageError, match="limit the same quantity"):
        parse_all(["p99<=+5%", "p99<=+6%"])


def test_a_limit_and_a_change_of_one_quantity_go_together():
    found = parse_all(["p99<=10ms", "p99<=+5%", "p90<=10ms"])
    assert [(item.quantity, item.relative) for item in found] == [("p99", False), ("p99", True), ("p90", False)]
    assert parse_all([]) == ()


def test_a_budget_on_nothing_we_know_cannot_be():
    with pytest.raises(ValueError, match="limits 'speed'; expected one of accuracy, "):
        Budget("speed<=1", "speed", 1.0)


def test_latency_quantities_are_what_another_machine_changes():
    of_machine = {name for name, quantity in QUANTITIES.items() if quantity.of_machine}
    assert set(GRAMMAR) - {"accuracy", "accuracy_drop", "size"} == of_machine


def test_an_error_metric_takes_an_upper_limit():
    found = parse("accuracy<=1.5")
    assert (found.limit, found.is_upper) == (1.5, True)
    assert not parse("accuracy>=0.5").is_upper
    assert parse("accuracy<=+5%").is_upper


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (("p50<=10ms", "p90<=5ms"), ("'p50<=10ms'", "'p90<=5ms'", "p50 never exceeds p90")),
        (("p99<=4ms", "p90<=5ms"), ("'p90<=5ms'", "'p99<=4ms'")),
        (("p50<=1ms", "p99.9<=2ms", "p99<=3ms"), ("'p99<=3ms'", "'p99.9<=2ms'")),
        (("accuracy>=0.9", "accuracy<=0.5"), ("limit the same quantity",)),
    ],
)
def test_budgets_that_contradict_each_other_are_refused(texts, words):
    with pytest.raises(UsageError) as caught:
        parse_all(texts)
    for word in words:
        assert word in str(caught.value)


def test_a_wider_limit_on_a_higher_percentile_is_no_contradiction():
    assert len(parse_all(["p99<=10ms", "p50<=5ms", "p90<=+5%", "p50<=+10%"])) == 4


gaps = st.sampled_from(["", " ", "\t", "  "])


@given(
    st.sampled_from(EVERY_FORM),
    st.floats(1e-6, 1e9),
    st.sampled_from(["{:f}", "{:.3e}", "{:.0f}"]),
    st.lists(gaps, min_size=5, max_size=5),
)
@settings(derandomize=True)
def test_what_is_written_is_what_is_read(form, number, style, white):
    quantity, operator, unit, scale = form
    digits = style.format(number).replace("e+", "e")
    if float(digits) == 0:
        return
    parts = [quantity, operator, digits, unit]
    text = "".join(gap + part for gap, part in zip(white, parts)) + white[-1]
    found = parse(text)
    assert (found.text, found.quantity, found.relative) == (text.strip(), quantity, False)
    assert found.limit == pytest.approx(float(digits) * scale, rel=1e-12)
    assert parse(found.text) == found


@given(st.sampled_from(list(GRAMMAR)), st.floats(-99.9, 1000))
@settings(derandomize=True)
def test_what_is_written_as_a_change_is_what_is_read(quantity, percent):
    text = f"{quantity}{GRAMMAR[quantity][0]}{percent:+.3f}%"
    if quantity == "accuracy_drop":
        with pytest.raises(UsageError):
            parse(text)
        return
    found = parse(text)
    assert found.relative
    assert found.limit == pytest.approx(round(percent, 3) / 100, abs=1e-12)


@given(st.text() | st.from_regex(r"\A[ap-z_0-9.]{1,9}[<>=]{1,2}[+-]?[0-9.e]{1,9}[A-Za-z%/]{0,3}\Z"))
@settings(derandomize=True, max_examples=300)
def test_any_text_is_a_finite_budget_or_refused(text):
    try:
        found = parse(text)
    except UsageError:
        return
    assert math.isfinite(found.limit)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("accuracy_drop[mae]<=0.02", Budget("accuracy_drop[mae]<=0.02", "accuracy_drop", 0.02, metric="mae")),
        ("accuracy[mse:value]<=3", Budget("accuracy[mse:value]<=3", "accuracy", 3, at_most=True, metric="mse:value")),
        ("accuracy[f1@3]>=-5%", Budget("accuracy[f1@3]>=-5%", "accuracy", -0.05, True, metric="f1@3")),
        ("accuracy_drop<=1%", Budget("accuracy_drop<=1%", "accuracy_drop", 0.01, of_source=True)),
        ("accuracy_drop[v]<=1%", Budget("accuracy_drop[v]<=1%", "accuracy_drop", 0.01, of_source=True, metric="v")),
    ],
)
def test_an_accuracy_may_be_that_of_a_metric_and_a_drop_a_share_of_the_source(text, found):
    assert parse(text) == found
    assert found.figure == re.split("[<>]", text)[0]


def test_each_metric_has_one_limit_of_a_kind():
    assert len(parse_all(["accuracy_drop<=0.01", "accuracy_drop[mae]<=1%", "accuracy[mae]<=3"])) == 3
    with pytest.raises(UsageError, match="limit the same quantity; keep one"):
        parse_all(["accuracy_drop[mae]<=0.01", "accuracy_drop[mae]<=1%"])
