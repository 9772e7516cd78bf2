"""What arguments of the command line can be, where they are one of a few words."""

from enum import StrEnum


class Kind(StrEnum):
    """What `foolbench list` lists."""

    attacks = "attacks"
    defenses = "defenses"
    models = "models"
    datasets = "datasets"
    recipes = "recipes"


class By(StrEnum):
    """What the rows differ in that `foolbench compare` compares."""

    defense = "defense"
    attack = "attack"
    model = "model"
    knowledge = "knowledge"


class Rate(StrEnum):
    """What `foolbench compare` compares them by."""

    gfr = "gfr"
    robust = "robust"


class Catalogued(StrEnum):
    """What `foolbench catalogue` has a page of."""

    attacks = "attacks"
    defenses = "defenses"
    recipes = "recipes"
