"""Would today's code decide what the log holds? Every accepted commit is decided once more, and compared.

For each commit the inputs of its decision are read out of its events, `engine.core.decide.decide` is given them and the
run's recorded state before the commit, and what it decides is compared with what was recorded: every event, in its
order, type for type and bit for bit (the order of names in an object has no meaning), and the commit's `decided`. So it
is compared which nodes are entered, in which order and by which outputs, with which titles, types and attempts; what
start, edit, switch and end nodes do; how a run ends, with which output or error; when a limit is reached and what it
says; where a commit is full; and what a command that an open run refuses is answered.

What cannot be decided again is taken over from the record, and counted in `DecisionReport.taken_over`:

- What a command asked for: its ids, its context, tags and reason, which of several versions was the newest, and that
  it came in time. A refused command is read from `commands`; when it is there no more, also that it is to be refused.
- What came of an attempt: its changes and output, or its error. Functions and predicates are not called, so they need
  not be registered.
- What a node did whose type is not registered, or takes its configuration no more.
- That a process did not enter a node because it lacked a function, and left it to another one.

Not in the log, and so not looked at: commands that changed nothing, outcomes that came too late, and headers, which
follow from the rest. A commit of a version that was not published cannot be decided again and is counted as skipped.
"""

from projections.decisions.comparison import Difference
from projections.decisions.inputs import refused_offsets
from projections.decisions.redecider import DecisionReport, Redecider
from projections.decisions.replay import replay_decisions

__all__ = ["DecisionReport", "Difference", "Redecider", "refused_offsets", "replay_decisions"]
