"""Without any root the rules alone find whatever is changed in a value, and in the headers that say what counts."""

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.log.port import EVENTS, WORKFLOWS
from tests.audit.logs import audited, copy_of, violations
from tests.simulation.log import SimulatedLog

FREE = {"ce_source", "checkpoint", "traceparent"}
"""Headers in which another value may be as right: who wrote it, an earlier checkpoint; the last is on no record."""
OWN_TIME = {"runline.checkpoint", "runline.workflow"}
"""Records whose time stands in their headers alone."""


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_a_flipped_bit_of_a_value_is_found(data: st.DataObject, whole_log: SimulatedLog, tmp_path: Path) -> None:
    log = copy_of(whole_log)
    place = data.draw(st.sampled_from([(EVENTS, 0), (EVENTS, 1), (WORKFLOWS, 0)]))
    records = log.partition(*place).records
    index = data.draw(st.integers(0, len(records) - 1))
    value = bytearray(records[index].value)
    value[data.draw(st.integers(0, len(value) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    records[index] = records[index]._replace(value=bytes(value))
    found = violations(await audited(log, tmp_path))
    if records[index].key == "fence" and not found:
        # The executor's name in a fence is nowhere else.
        assert b'"executor":' in value
        return
    assert index in {each.offset for each in found if (each.topic, each.partition) == place}, found


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_a_changed_header_is_found(data: st.DataObject, whole_log: SimulatedLog, tmp_path: Path) -> None:
    log = copy_of(whole_log)
    place = data.draw(st.sampled_from([(EVENTS, 0), (EVENTS, 1), (WORKFLOWS, 0)]))
    records = log.partition(*place).records
    index = data.draw(st.integers(0, len(records) - 1))
    headers = dict(records[index].headers)
    own = {"ce_time"} if headers["ce_type"] in OWN_TIME else set()
    name = data.draw(st.sampled_from(sorted(headers.keys() - FREE - own)))
    # What early versions did not write may be missing; that it was there only the roots can tell.
    if data.draw(st.booleans()) and name != "partitions":
        del headers[name]
    else:
        at = data.draw(st.integers(0, len(headers[name]) - 1))
        letter = data.draw(st.sampled_from("09afx: ~"))
        headers[name] = headers[name][:at] + letter + headers[name][at + 1 :]
    if headers == records[index].headers:
        return
    records[index] = records[index]._replace(headers=headers)
    found = violations(await audited(log, tmp_path))
    assert index in {each.offset for each in found if (each.topic, each.partition) == place}, (name, found)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_a_record_taken_out_put_in_twice_or_moved_is_found(
    data: st.DataObject, whole_log: SimulatedLog, tmp_path: Path
) -> None:
    log = copy_of(whole_log)
    place = data.draw(st.sampled_from([(EVENTS, 0), (EVENTS, 1), ("commands", 0), ("rejections", 0)]))
    records = log.partition(*place).records
    index = data.draw(st.integers(0, len(records) - 2))
    match data.draw(st.sampled_from(["out", "twice", "moved"])):
        case "out":
            del records[index]
        case "twice":
            records.insert(index, records[index])
        case _:
            records.append(records.pop(index))
    found = violations(await audited(log, tmp_path))
    assert [each for each in found if (each.topic, each.partition) == place]
