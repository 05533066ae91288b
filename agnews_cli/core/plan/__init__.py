"""The planner: jobs as a graph → sessions on one or several platforms, and a lower bound beside.

`instance` is what is asked, `schedule` what is answered, `planner.plan` goes from one to the other,
`check.check` judges an answer without knowing how it was found. All times are seconds from now.
"""
