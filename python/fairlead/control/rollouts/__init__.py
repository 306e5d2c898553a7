"""Rollouts in the control plane: load, decide, commit with the decision's record, publish.

| module | does |
| --- | --- |
| `look` | reads what was counted |
| `joining` | the leader's duty: joins outcomes with the prediction log |
| `loop` | the leader's duty: decides, again and again |
| `effects` | commits: state, record, roles, snapshot, announcement; one transaction |
| `apply` | takes a document, and starts it |
| `act` | what people do |
| `plan` | what a document can find out, beforehand |
"""
