"""The policy pack: what every stack keeps to, and what it costs. `catalogue` lists the rules."""
