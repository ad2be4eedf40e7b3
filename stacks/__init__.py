"""The targets: `settings` is the one schema; one file a target, wiring only."""
