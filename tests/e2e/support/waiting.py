"""Waiting for a condition, never for a time."""

import time


def wait_for(condition, what, timeout=30):
    """Looks at `condition()` until it is true, and returns what it gave. `what` says, for a failing
    test, what was waited for; it may be a function, called at the end."""
    deadline = time.monotonic() + timeout
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            text = what() if callable(what) else what
            raise AssertionError(f"not within {timeout} s: {text}")
        time.sleep(0.01)
