"""The pure decisions: frozen snapshots in, frozen plans out. No clock, no randomness, no input or output."""
