"""Which completion is explained."""

from traces import trace_of

from lsp_server.server.traces import Traces


def test_what_was_shown_last_is_explained_and_not_what_was_asked_for_behind_it():
    traces = Traces()
    assert traces.find() is None
    nothing, first, second = map(trace_of, ("", "one", "two"))
    traces.note(nothing, None)
    assert traces.find() is nothing
    for trace, id_ in ((first, "1"), (second, "2")):
        traces.note(trace, id_)
        traces.shown(id_)
    traces.note(nothing, None)
    assert traces.find() is second
    assert traces.find("1") is first
    traces.shown("1")
    assert traces.find() is first
    assert traces.find("3") is None


def test_what_was_superseded_before_it_was_shown_is_explained_once_it_is_shown_after_all():
    traces = Traces()
    shown, superseded = map(trace_of, ("one", "two"))
    traces.note(shown, "1")
    traces.shown("1")
    traces.note(superseded, "2")
    assert traces.find() is shown
    traces.shown("2")
    assert traces.find() is superseded


def test_what_was_made_long_ago_is_forgotten():
    traces = Traces()
    for number in range(9):
        traces.note(trace_of("x"), str(number))
    assert traces.find("0") is None
    assert traces.find("1") is not None
