"""Sweeps: many trainings of one recipe with other numbers, chosen by Optuna."""
