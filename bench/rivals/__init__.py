"""Four equal tables for `bench_rivals`: a bare one, and one watched by each of three other audit packages."""
