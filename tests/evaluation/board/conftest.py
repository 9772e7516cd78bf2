"""A board with hostile names, of a run on the digits, and the page of it in a browser."""

import os
import shutil
from dataclasses import dataclass

import foolbench
import pytest
from foolbench.core import Attack, InputTransform, Model, register_attack, register_defense
from foolbench.datasets import Digits
from foolbench.defenses import BitDepth
from foolbench.evaluation.board.board import make_board
from foolbench.evaluation.board.runs import read_run
from foolbench.evaluation.recipe.plugins import REGISTRIES
from foolbench.models import ENTRIES
from foolbench.tasks import Recognition
from torch import nn

SCRIPT, FORMULA, MARKUP = "<script>alert(1)</script>", '=HYPERLINK("http://localhost/")', "<img src=x onerror=alert(2)>"


@pytest.fixture(scope="session")
def hostile_names():
    """Of a network, of a defense, and of its classes."""
    return SCRIPT, FORMULA, MARKUP


@dataclass(frozen=True, kw_only=True)
class Half(InputTransform):
    """Half the contrast."""

    differentiable = True
    randomized = False

    def transform(self, x, *, rng):
        return x / 2


@dataclass(frozen=True, kw_only=True)
class Unlucky(Attack):
    """Fails."""

    access = "none"

    def perturb(self, model, x, y, *, rng):
        raise RuntimeError(f"no luck: {MARKUP}")


def register():
    register_defense(FORMULA)(Half)
    register_attack("unlucky")(Unlucky)


@pytest.fixture(scope="session")
def hostile_folder(tmp_path_factory):
    """The folder of a run with transfer, knowing attacks, a failed attack, and names that would like to be code."""
    folder = tmp_path_factory.mktemp("hostile") / "run"
    with pytest.MonkeyPatch.context() as patch:
        for registry in REGISTRIES.values():
            patch.setattr(registry, "_classes", dict(registry._classes))
        register()
        net = ENTRIES["digits:convnet"].load().net
        names = {
            "task": Recognition(classes=10),
            "shape": (1, 8, 8),
            "class_names": [f"{MARKUP} {n}" for n in range(10)],
        }
        trained = Model(net, mean=0.5, std=0.5, **names)
        linear = Model(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), **names)
        foolbench.evaluate(
            {SCRIPT: trained, "linear": linear},
            Digits(),
            source_models={SCRIPT: trained},
            attacks=["uniform-noise", "fgsm", {"name": "pgd", "steps": 5}, "unlucky"],
            defenses=[BitDepth(bits=3), Half()],
            knowledge=["oblivious", "adaptive"],
            eps="40/255",
            samples=24,
            out=folder,
            device="cpu",
            silent=True,
        )
        board = make_board([read_run(folder)])
    return folder, board


@pytest.fixture
def hostile_run(hostile_folder, own_registries):
    """Its folder, where the names are known."""
    register()
    return hostile_folder[0]


@pytest.fixture(scope="session")
def hostile_board(hostile_folder):
    return hostile_folder[1]


@pytest.fixture(scope="session")
def chromium():
    """Of this machine. Without one these tests are skipped, and fail where FOOLBENCH_BROWSER is "required"."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None and os.environ.get("FOOLBENCH_BROWSER") == "required":
        pytest.fail("Expected chromium on the PATH, found none; install it, or unset FOOLBENCH_BROWSER.")
    if found is None:
        pytest.skip("no chromium on the PATH")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium, hostile_run):
    """`opened(...)` is the page in a window of its own, of which nothing is heard but what the page does.

    What it logs, raises, asks for and pops up is in its list `heard`.
    """
    contexts = []

    def open_page(width=1280, dark=False, script=True, fragment=""):
        context = chromium.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            java_script_enabled=script,
        )
        contexts.append(context)
        page, page.heard = context.new_page(), []
        address = (hostile_run / "index.html").as_uri()
        page.on("console", lambda message: page.heard.append(message.text))
        page.on("pageerror", lambda error: page.heard.append(str(error)))
        page.on("dialog", lambda dialog: (page.heard.append(dialog.message), dialog.dismiss()))
        page.on(
            "request", lambda request: request.url in (address, address + fragment) or page.heard.append(request.url)
        )
        page.goto(address + fragment)
        return page

    yield open_page
    for context in contexts:
        context.close()
