"""The room that thinks: pure functions and frozen types; no disk, clock, network, randomness."""
