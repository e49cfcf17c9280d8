"""What runs, in what order, and why: pure, without Spark."""
