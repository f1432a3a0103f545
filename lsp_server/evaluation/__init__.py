"""How good completions are: cases cut from real code, completed in several ways, compared with their authors.

    draw.py     repository  -> cases          own_file.py    what may be retrieved for a case
    cases.py    JSON lines <-> cases          likelihood.py  nats of the author's text
    subject.py  case        -> answer         results.py     answers at rest, so that a run can go on
    runner.py   all cases by all subjects     metrics.py     answer -> scores
    summary.py  scores -> table with 95 % intervals (intervals.py)
    report.py, chart.py  the table for people

A *subject* is a way to complete; one of ours, or a peer. An *arm* is its name in the tables.
"""
