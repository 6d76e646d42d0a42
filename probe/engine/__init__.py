"""The only sockets and clocks of a measurement: performs steps, captures, keeps to the budget, records and replays."""
