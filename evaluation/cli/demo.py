"""`foolbench demo`: attack one picture, and show the images and the predictions without and with each defense."""

from pathlib import Path

from rich.table import Table
from rich.text import Text

from ...core.errors import ConfigError
from ...core.files import write_whole, writing
from ...core.model import Model
from ..demo.answers import STEPS, TARGETED_STEPS, Answer, Answers, answers, attacked, drawn
from ..demo.sheet import AMPLIFIED, sheet
from ..demo.subject import image
from ..engine.memory.heap import keep_freed_memory
from .console import console, say


def demo(picture: Path | None, model: Model, target: str | None, eps: str, out: Path) -> None:
    """Attack a picture, print the answers, and write the images to the PNG file `out`.

    Raises ConfigError or InputError for invalid arguments, and OutputError if the file cannot be written.
    """
    if out.suffix.lower() != ".png":
        raise ConfigError(f"Expected --out to name a PNG file, as demo.png, got {out}.")
    keep_freed_memory()
    x, name = image(picture, model)
    images = attacked(model, x, target, eps)
    found = list(answers(model, images))
    method = f"PGD, {STEPS} and {TARGETED_STEPS} steps"
    about = [model.name, f"on {name}", method, f"no pixel changed by more than {eps}"]
    with writing(out):
        write_whole(out, sheet(images, found[0], drawn(model, images), about))
    console.print(Text(", ".join(about), style="bold"))
    console.print(_table(found, images.target))
    for one in found:
        if one.problem:
            say(f"{one.system}: {one.problem}", style="yellow")
    say("Crafted on the bare network, without knowledge of any defense. Defenses that learn are left out.", style="dim")
    say(f"Written: {out} (the images, and the change {AMPLIFIED} times as large)", style="dim")


def _table(found: list[Answers], target: str) -> Table:
    table = Table("defense", "clean", "attacked", f"attacked, towards {target}")
    for one in found:
        table.add_row(one.system, *(map(_shown, one.answers) if one.answers else ["-"] * 3))
    return table


def _shown(answer: Answer) -> Text:
    """Return a prediction as text, red where it differs from that for the clean image."""
    return Text(str(answer), style="red" if answer.fooled else "")
