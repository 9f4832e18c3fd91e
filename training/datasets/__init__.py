"""Data sets: readers of what others publish, and the prepared folders that training reads."""
