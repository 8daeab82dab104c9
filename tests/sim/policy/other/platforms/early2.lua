-- The same directory, by another name.
platform "early2" { extends = "linux", answers_early = true }
