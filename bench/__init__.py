"""The figures: measured in one run, arms interleaved, published as ratios (`make bench`)."""
