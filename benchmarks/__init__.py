"""What is fast, measured beside a baseline. `python -m benchmarks` runs all of them."""
