"""Time, memory and methods held against their peers."""
