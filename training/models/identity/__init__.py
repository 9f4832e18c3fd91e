"""The compact identity network (the frozen branch), distilled from a larger one."""
