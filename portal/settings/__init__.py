"""Settings: `base` is shared; `demo`, `test` and `production` are what a process starts with."""
