"""Small weights we trained ourselves, and how they come into a registry."""


def seed() -> list[str]:
    """Register the shipped starters that the registry lacks; see `training.starter.seeding`."""
    from training.starter import seeding

    return seeding.seed()
