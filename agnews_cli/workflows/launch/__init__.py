"""`agnews launch`: sessions that start themselves, until the plan's end or the quota's."""
