"""An OpenAI-compatible HTTP server that stands beside one Triton and speaks token ids to its engine."""
