-- A directory: its answer comes before the change is in effect everywhere.
platform "early" { extends = "linux", answers_early = true }
