"""From a text or a checkpoint to a published model version, one step at a time (`python -m engine`)."""
