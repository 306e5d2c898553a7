"""Decide how a rollout goes on, from its plan and its evidence: values in, values out, no I/O, no clock, no
randomness.

| module | promises |
| --- | --- |
| `assignment` | whose a unit is, the same on both planes |
| `counting` | reports of replicas to counts by epoch and arm |
| `assessment` | counts to evidence, guardrail by guardrail |
| `engine`, `steps`, `course` | evidence to a decision |
| `commands` | what people do: begin, pause, resume, promote, abort, undo, approve |
| `replay` | a recorded decision, decided again |
| `evidence` | the statistics |
"""
