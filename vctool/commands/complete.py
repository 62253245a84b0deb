"""What a shell offers to complete: names of recipes, models, roles and corpora."""

import typer


def recipes(incomplete: str) -> list[str]:
    """Return the recipes that begin so."""
    from vctool.experiment import recipe

    return [name for name in recipe.recipes() if name.startswith(incomplete)]


def models(incomplete: str) -> list[str]:
    """Return the models that begin so, and those that need no training."""
    from vctool import models as families
    from vctool.experiment import places

    ready = [name for name in families.names() if families.declared(name).untrained]
    named = dict.fromkeys([*(one.name for one in places.found()), *ready])
    return [name for name in named if name.startswith(incomplete)]


def roles(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the roles that begin so: of `--model` where that is typed already, else of all."""
    from vctool.errors import VctoolError
    from vctool.tools import models as tool

    try:
        chosen = ctx.params.get("model")
        listed = tool.inventory() if chosen is None else [tool.named(str(chosen))]
    except VctoolError:  # a shell is no place to say what is wrong
        return []
    named = dict.fromkeys(
        role for one in listed if one.kind == "conversion" and one.loads for role in one.target
    )
    return [role for role in named if role.startswith(incomplete) and role != tool.RECORDINGS]


def corpora(incomplete: str) -> list[str]:
    """Return the corpora that begin so."""
    from vctool import corpora as known

    return [name for name in known.names() if name.startswith(incomplete)]
