"""Data sets: readers of published data, and the prepared folders that training reads."""
