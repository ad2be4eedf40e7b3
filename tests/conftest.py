"""What all tests need of the process they run in."""

import signal

# A shell starts background jobs with SIGINT ignored, and children inherit that: the tests that interrupt commands
# would then wait for ever.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
